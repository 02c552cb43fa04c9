// Between words and bit planes: element e of plane p is bit e % 64 of word p * ceil(len / 64) + e / 64.
#include "device.h"

// The transposition of a warp's 32x32 bits, a row each lane. At each level quarters of squares change places: a lane
// keeps half of its row's bits, and takes the others from the same half of its partner's, moved by the level's width.
// What it keeps and how it moves depends on the lane alone.
struct Transposition {
  u32 bytes16, bytes8, keep4, keep2, keep1, turn4, turn2, turn1;

  DEV explicit Transposition(u32 lane)
      : bytes16(lane & 16 ? 0x3276 : 0x5410), bytes8(lane & 8 ? 0x3715 : 0x6240),
        keep4(lane & 4 ? 0xf0f0f0f0 : 0x0f0f0f0f), keep2(lane & 2 ? 0xcccccccc : 0x33333333),
        keep1(lane & 1 ? 0xaaaaaaaa : 0x55555555), turn4(lane & 4 ? 28 : 4), turn2(lane & 2 ? 30 : 2),
        turn1(lane & 1 ? 31 : 1) {}

  DEV static u32 level(u32 row, u32 width, u32 keep, u32 turn) {
    u32 other = __shfl_xor_sync(ALL_LANES, row, width);
    return (row & keep) | (__funnelshift_l(other, other, turn) & ~keep);
  }
  DEV u32 operator()(u32 row) const {
    row = prmt(row, __shfl_xor_sync(ALL_LANES, row, 16), bytes16);
    row = prmt(row, __shfl_xor_sync(ALL_LANES, row, 8), bytes8);
    row = level(row, 4, keep4, turn4);
    row = level(row, 2, keep2, turn2);
    return level(row, 1, keep1, turn1);
  }
};

// Plane j (of `planes`) of out is bit from + j of in + add; from + planes <= 64. Bits past the last of `len` elements
// are zero. A block makes 32 words of each plane at a time, a warp four of them by transposing bits in registers, and
// stores them from shared memory, 256 bytes a plane. Any grid; block 256.
KERNEL(to_planes, 256, 4, const u64* in, u64* out, u64 len, u64 add, u32 from, u32 planes) {
  __shared__ u64 room[64][33];
  const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const Transposition transpose(lane);
  const u64 stride = (len + 63) / 64;
  for (u64 first = (u64)blockIdx.x * 32; first < stride; first += (u64)gridDim.x * 32) {
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
      u32 word = warp * 4 + i, low[2], high[2] = {};
#pragma unroll
      for (u32 half = 0; half < 2; half++) {
        u64 e = (first + word) * 64 + half * 32 + lane;
        u64 x = e < len ? (in[e] + add) >> from : 0;
        low[half] = transpose((u32)x);
        if (planes > 32) high[half] = transpose((u32)(x >> 32));
      }
      room[lane][word] = low[0] | (u64)low[1] << 32;
      if (planes > 32) room[lane + 32][word] = high[0] | (u64)high[1] << 32;
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
