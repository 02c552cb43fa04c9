// Between words and bit planes: element e of plane p is bit e % 64 of word p * ceil(len / 64) + e / 64.
#include "device.h"

// A level of the transposition of a warp's 32x32 bits, a row each lane: quarters of squares of 2 * HALF change places.
template <u32 HALF> DEV u32 swap_quarters(u32 row, u32 lane) {
  constexpr u32 LOW = HALF == 16 ? 0x0000ffff : HALF == 8 ? 0x00ff00ff : HALF == 4 ? 0x0f0f0f0f : HALF == 2 ? 0x33333333
                                                                                                       : 0x55555555;
  u32 other = __shfl_xor_sync(ALL_LANES, row, HALF);
  return lane & HALF ? (row & ~LOW) | (other >> HALF & LOW) : (row & LOW) | (other << HALF & ~LOW);
}
DEV u32 transpose(u32 row, u32 lane) {
  row = swap_quarters<16>(row, lane);
  row = swap_quarters<8>(row, lane);
  row = swap_quarters<4>(row, lane);
  row = swap_quarters<2>(row, lane);
  return swap_quarters<1>(row, lane);
}

// Plane j (of `planes`) of out is bit from + j of in + add; from + planes <= 64. Bits past the last of `len` elements
// are zero. A block makes 32 words of each plane at a time, a warp four of them by transposing bits in registers, and
// stores them from shared memory, 256 bytes a plane. Any grid; block 256.
KERNEL(to_planes, 256, 4, const u64* in, u64* out, u64 len, u64 add, u32 from, u32 planes) {
  __shared__ u64 room[64][33];
  const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const u64 stride = (len + 63) / 64;
  for (u64 first = (u64)blockIdx.x * 32; first < stride; first += (u64)gridDim.x * 32) {
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
      u32 word = warp * 4 + i, low[2], high[2];
#pragma unroll
      for (u32 half = 0; half < 2; half++) {
        u64 e = (first + word) * 64 + half * 32 + lane;
        u64 x = e < len ? (in[e] + add) >> from : 0;
        low[half] = transpose((u32)x, lane);
        high[half] = transpose((u32)(x >> 32), lane);
      }
      room[lane][word] = low[0] | (u64)low[1] << 32;
      room[lane + 32][word] = high[0] | (u64)high[1] << 32;
    }
    __syncthreads();
    for (u32 plane = warp; plane < planes; plane += 8) {
      if (first + lane < stride) out[plane * stride + first + lane] = room[plane][lane];
    }
    __syncthreads();
  }
}

// out[i] = element i of one plane, as 0 or 1. Any grid; block 256.
KERNEL(bit_of, 256, 4, const u64* plane, u64* out, u64 len) {
  for (u64 i = thread_number(); i < len; i += thread_count()) out[i] = plane[i / 64] >> (i % 64) & 1;
}
