/* Parameters of the kernels in simt/norm.cl. */
#ifndef LX_SIMT_NORM_H
#define LX_SIMT_NORM_H

#define NORM_ITEMS 256 /* in a work-group */

/* Images of `columns` of `size` values, where a value is one number, or the four channels of a block of the blocked
 * layout. A column's values, of all images one after another, are cut into chunks. Of a group's work-items `across`
 * lie side by side on neighbouring columns, and `along` of those rows, a power of two, share a chunk. */
typedef struct {
    long size, channels, columns;
    long count;          /* values of a column, in all images */
    long chunk, chunks;
    long blocks;         /* of columns: columns / across, rounded up */
    int across, along;
    float eps;
    int has_weight, has_bias, training;
    int activation; /* of kernels/activation.h */
    int has_addend;
} channel_args;

#endif
