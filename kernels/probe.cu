// Probes: each does one thing only, as fast as a GPU can, for what other kernels do of it to be held against. Nothing waits
// for memory, nor for anything but the operation before of its own chain, of which a thread has CHAINS; a multiprocessor
// holds two blocks of each kernel. Memory itself is measured by `copy_words`.
//
// Grid of all: any number of blocks. Every thread goes through `rounds` rounds, any number of them, and stores a number
// that all of its operations have gone into, so that none is left out: out has one for each thread.
#include "device.h"

enum : u32 { CHAINS = 8 };

// Numbers that differ from place to place and thread to thread of a block.
DEV u32 noise(u32 place) { return (threadIdx.x * 64 + place + 1) * 0x9e3779b1; }

// Products of bytes on tensor cores: CHAINS times 16x32 by 32x8 bytes, 4,096 products, a warp and round. Block 256.
KERNEL(probe_bytes, 256, 2, u32* out, u32 rounds) {
  u32 left[4], right[2], sum[CHAINS][4];
#pragma unroll
  for (u32 i = 0; i < 4; i++) left[i] = noise(i);
#pragma unroll
  for (u32 i = 0; i < 2; i++) right[i] = noise(4 + i);
#pragma unroll
  for (u32 c = 0; c < CHAINS; c++)
#pragma unroll
    for (u32 i = 0; i < 4; i++) sum[c][i] = noise(8 + 4 * c + i);
#pragma unroll 1
  for (u32 round = 0; round < rounds; round++) {
#pragma unroll
    for (u32 c = 0; c < CHAINS; c++) mma_u8(sum[c], left, right[0], right[1]);
  }
  u32 all = 0;
#pragma unroll
  for (u32 c = 0; c < CHAINS; c++)
#pragma unroll
    for (u32 i = 0; i < 4; i++) all ^= sum[c][i];
  out[thread_number()] = all;
}

// Multiply-adds of 32 bits: CHAINS a thread and round. Block 512.
KERNEL(probe_multiply_adds, 512, 2, u32* out, u32 rounds) {
  const u32 factor = noise(0), term = noise(1);
  u32 x[CHAINS];
#pragma unroll
  for (u32 c = 0; c < CHAINS; c++) x[c] = noise(2 + c);
#pragma unroll 1
  for (u32 round = 0; round < rounds; round++) {
#pragma unroll
    for (u32 c = 0; c < CHAINS; c++) x[c] = x[c] * factor + term;
  }
  u32 all = 0;
#pragma unroll
  for (u32 c = 0; c < CHAINS; c++) all ^= x[c];
  out[thread_number()] = all;
}

// Lookups of 32 bits in shared memory, each lane in its own bank: CHAINS a thread and round. Entry e says, to all lanes,
// where entry 5 e + 3 is: in bytes, modulo 256 entries of 128. Block 512.
KERNEL(probe_lookups, 512, 2, u32* out, u32 rounds) {
  __shared__ u32 table[256 * 32];
  const u32 t = threadIdx.x, lane = t & 31;
  for (u32 e = t >> 5; e < 256; e += 16) table[e * 32 + lane] = ((e * 5 + 3) & 255) * 128 + lane * 4;
  __syncthreads();
  u32 at[CHAINS];
#pragma unroll
  for (u32 c = 0; c < CHAINS; c++) at[c] = (noise(c) >> 24) * 128 + lane * 4;
#pragma unroll 1
  for (u32 round = 0; round < rounds; round++) {
#pragma unroll
    for (u32 c = 0; c < CHAINS; c++) at[c] = *(const u32*)((const u8*)table + at[c]);
  }
  u32 all = 0;
#pragma unroll
  for (u32 c = 0; c < CHAINS; c++) all += at[c];
  out[thread_number()] = all;
}
