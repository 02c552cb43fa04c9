// What all kernels share: names of types, the few intrinsics they use, exact division by a number known to the host.
//
// Kernels include only headers of this folder, so that the compiler needs no include path and no CUDA headers.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define DEV __device__ __forceinline__
// A kernel for at most `threads` threads a block, of which `blocks` shall fit a multiprocessor.
#define KERNEL(name, threads, blocks, ...) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(__VA_ARGS__)
#define ALL_LANES 0xffffffffu

// Exact division of numbers below 2^31 (Divisor) or 2^63 (LongDivisor) by d >= 1: with shift = ceil(log2 d),
// mul = floor(2^W * (2^shift - d) / d) + 1 for W = 32 or 64, the quotient is (high(n * mul) + n) >> shift.
struct Divisor {
  u32 mul, shift;
};
struct LongDivisor {
  u64 mul;
  u32 shift, unused;
};
DEV u32 divide(u32 n, const Divisor& d) { return (__umulhi(n, d.mul) + n) >> d.shift; }
DEV u64 divide(u64 n, const LongDivisor& d) { return (__umul64hi(n, d.mul) + n) >> d.shift; }

// The number of this thread among all of the grid's, and how many there are: element loops step by the latter.
DEV u64 thread_number() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
DEV u64 thread_count() { return (u64)gridDim.x * blockDim.x; }

// 64-bit masks of low bits; `bits` from 0 to 64.
DEV u64 low_bits(u32 bits) { return bits >= 64 ? ~0ull : (1ull << bits) - 1; }

DEV u32 prmt(u32 a, u32 b, u32 selector) { return __byte_perm(a, b, selector); }

// d += a * b for a 16x32 and b 32x8 bytes, each without sign; d wraps modulo 2^32.
DEV void mma_u8(u32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8x8 matrices of 16-bit elements; lane l says where row l % 8 of matrix l / 8 is. A lane gets two neighbouring
// elements of row lane / 4 of each.
DEV void load_matrices(u32 (&r)[4], const void* row) {
  u32 address = (u32)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// Copies of 16 bytes into shared memory that go on meanwhile, in groups: those begun since the last end are one. Waiting
// leaves the last LEFT groups on their way.
DEV void copy_quad(void* to, const void* from) {
  u32 address = (u32)__cvta_generic_to_shared(to);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}
DEV void end_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <u32 LEFT> DEV void await_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory"); }

// Adds without a result.
DEV void add_to(u64* at, u64 value) {
  asm volatile("red.global.add.u64 [%0], %1;" ::"l"(at), "l"(value) : "memory");
}

struct alignas(16) Pair {
  u64 x, y;
};
struct alignas(16) Quad {
  u32 x, y, z, w;
};
