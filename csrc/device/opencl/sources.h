/* The text of the kernels, embedded in the module. */
#ifndef LX_OPENCL_SOURCES_H
#define LX_OPENCL_SOURCES_H

/* The text of PROGRAM.cl with its includes in their places, to be freed; NULL if there is none of that name or no
 * memory. */
char *lx_opencl_source(const char *program);

#endif
