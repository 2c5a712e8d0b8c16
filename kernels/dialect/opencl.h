/* The dialect of kernels that is OpenCL C 1.2: see luxel.h, which includes this. */
#ifndef LX_DIALECT_OPENCL_H
#define LX_DIALECT_OPENCL_H

#define GLOBAL __global
#define LX_JOIN_LANES_(type, n) type##n
#define LX_JOIN_LANES2(type, n) LX_JOIN_LANES_(type, n)
#define LX_JOIN_LANES(type) LX_JOIN_LANES2(type, LANES)
#define LX_ITEM inline __attribute__((always_inline))
#define UNROLL _Pragma("unroll")
#define UNROLL_2 _Pragma("unroll 2")
#define UNROLL_4 _Pragma("unroll 4")
#define AT_THE_EDGE _Pragma("clang loop vectorize(disable) unroll(disable)")

#define PREFETCH(pointer) prefetch((pointer), 1)
#define PREFETCH_IN_C(pointer)

#ifdef LX_SIMT
/* A work-item each; there are more than ids at the edges, and fewer where a device limits their number. */
#define LX_WALKER inline
#define LX_APART inline
#define LX_WALK(call) \
    for (long id2 = (long)get_global_id(2); id2 < partition.rows / partition.size1; id2 += (long)get_global_size(2)) \
        for (long id1 = (long)get_global_id(1); id1 < partition.size1; id1 += (long)get_global_size(1)) \
            for (long id0 = (long)get_global_id(0); id0 < partition.size0; id0 += (long)get_global_size(0)) \
                call;
#else
/* A work-item is a task of many ids, as on the cpu device. PoCL makes several copies of a kernel, one for each way in
 * which it may be started; what is not inlined into it is compiled once. */
#define LX_WALKER __attribute__((noinline))
#define LX_APART __attribute__((noinline))
#define LX_WALK(call) \
    const lx_span span = lx_span_of(partition, task); \
    for (long row = span.first_row; row < span.last_row; row++) { \
        const long id1 = row % partition.size1, id2 = row / partition.size1; \
        _Pragma("clang loop vectorize(assume_safety)") \
        for (long id0 = span.first; id0 < span.last; id0++) \
            call; \
    }
#endif
#define LX_AT(type, buffer, offset) (type)((GLOBAL char *)(buffer) + (offset))

#if LANES == 16
typedef float16 lanes;
#define load_lanes(pointer) vload16(0, (pointer))
#define store_lanes(value, pointer) vstore16((value), 0, (pointer))
#elif LANES == 8
typedef float8 lanes;
#define load_lanes(pointer) vload8(0, (pointer))
#define store_lanes(value, pointer) vstore8((value), 0, (pointer))
#else
typedef float4 lanes;
#define load_lanes(pointer) vload4(0, (pointer))
#define store_lanes(value, pointer) vstore4((value), 0, (pointer))
#endif
#define splat(value) ((lanes)(value))
typedef LX_JOIN_LANES(int) lanes_mask;
#define choose_lanes(mask, yes, no) select((no), (yes), (mask))
#define LX_CONVERT(type) LX_JOIN_LANES(convert_##type)
/* PoCL's convert_ functions go by single elements, the compiler's own way does not. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_convertvector)
#define LX_AS_LANES(values, type) __builtin_convertvector((values), LX_JOIN_LANES(type))
#endif
#endif
#ifndef LX_AS_LANES
#define LX_AS_LANES(values, type) LX_CONVERT(type)(values)
#endif
#define load_codes(pointer) LX_AS_LANES(LX_JOIN_LANES(vload)(0, (pointer)), int)
#define store_codes(codes, pointer) LX_JOIN_LANES(vstore)(LX_AS_LANES(codes, uchar), 0, (pointer))

/* As C's compilers, clang mixes vectors by constants that it knows to be such. */
#define LX_JOIN_INDICES LX_JOIN_LANES(uint)
#if defined(__clang__)
#define interleave_lower(a, b) __builtin_shufflevector((a), (b), LX_LOWER)
#define interleave_upper(a, b) __builtin_shufflevector((a), (b), LX_UPPER)
#else
#define interleave_lower(a, b) shuffle2((a), (b), (LX_JOIN_INDICES)(LX_LOWER))
#define interleave_upper(a, b) shuffle2((a), (b), (LX_JOIN_INDICES)(LX_UPPER))
#endif

static LX_ITEM lanes pair_sums(lanes a, lanes b)
{
    return (lanes)(a.even + a.odd, b.even + b.odd);
}

/* See KERNEL1 in luxel.h: how a buffer becomes two parameters, and these a pointer. */
#define LX_GIVEN(n, type, name) type b##n, ulong o##n,
#define LX_FOUND(n, type, name) LX_AT(type, b##n, o##n),
#define LX_DEFINE(name, P, taken, passed, given, found) \
    static void name##_item(LX_IDS, taken const P p); \
    static LX_WALKER void name##_walk(long task, taken const P p, const lx_partition partition) \
    { \
        LX_WALK(name##_item(id0, id1, id2, passed p)) \
    } \
    __kernel void name(given const P p, const lx_partition partition) \
    { \
        name##_walk((long)get_global_id(0), found p, partition); \
    } \
    static void name##_item(LX_IDS, taken const P p)

/* ---- work-groups: for kernels/simt/ alone, which is never C ------------------------------------------------------- */

/* Memory that a work-group shares, and what brings the accesses of its work-items to it into order. */
#define LOCAL __local
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define ALIGNED(bytes) __attribute__((aligned(bytes)))

/* Where a work-item is: in its group, which of the groups along a dimension that is, and among all. */
#define LOCAL_ID ((int)get_local_id(0))
#define GROUP_ID(dimension) ((int)get_group_id(dimension))
#define GLOBAL_ID ((long)get_global_id(0))

/* Before the name of a kernel: the number of work-items in a group of it. */
#define GROUP_KERNEL(items) __kernel __attribute__((reqd_work_group_size(items, 1, 1))) void

/* A buffer among the parameters of a kernel, and in its body the pointer to where the tensor in it starts. */
#define BUFFER(type, name) GLOBAL type *name##_buffer, ulong name##_offset
#define POINTER(type, name) GLOBAL type *name = LX_AT(GLOBAL type *, name##_buffer, name##_offset)

/* NVIDIA's compiler reads ahead what its registers hold; others as much as they can, whose registers then overflow. */
#ifdef __NV_CL_C_VERSION
#define LX_MINDS_REGISTERS
#endif

#endif
