// Matrix products of words modulo 2^64.
#include "product.h"

// Batched products of row-major matrices: c[i] = sum over pairs j of a[j][i] * b[j][i], or in the kernels of sums c[i]
// = (factor_a[0] a[0][i] + factor_a[1] a[1][i]) * (factor_b[0] b[0][i] + factor_b[1] b[1][i]); a is [m, k], b is [k,
// n], c is [m, n]. All pointers are multiples of 8 bytes. m, n and k are below 2^31 and may be 0 (k = 0 makes zeros).
struct Gemm {
  const u64 *a[2], *b[2];
  u64* c;
  // Words from one matrix of the batch to the next; 0 where one serves all. Those of c are m * n apart.
  u64 step_a, step_b;
  u64 factor_a[2], factor_b[2];
  u32 m, n, k;
  // 1 or 2; 1 in the kernels of sums.
  u32 pairs;
  u32 batch;
};

template <bool SUMS, u32 DEPTH> struct Matrices {
  typedef ::Raw<SUMS> Raw;
  // Its first word, from the operand's.
  struct Column {
    u64 first;
    bool exists;
  };
  static constexpr u32 TERMS = SUMS ? 2 : 1;
  const Gemm& p;
  u32 item;

  DEV u32 steps_of_pair() const { return (p.k + DEPTH - 1) / DEPTH; }
  DEV u32 steps() const { return steps_of_pair() * (SUMS ? 1 : p.pairs); }
  DEV Column column(u32 n) const { return {item * p.step_b + n, n < p.n}; }
  // The step's first k, and whether it belongs to the second pair.
  DEV u32 place(u32 step, bool& second) const {
    second = !SUMS && step >= steps_of_pair();
    return (second ? step - steps_of_pair() : step) * DEPTH;
  }
  DEV void fetch_left(Raw& raw, u32 step, u32 m, u32 k) const {
    bool second;
    k += place(step, second);
#pragma unroll
    for (u32 t = 0; t < TERMS; t++) {
      const u64* row = (second || t ? p.a[1] : p.a[0]) + (item * p.step_a + (u64)m * p.k);
      load_row(raw.term[t], row, m < p.m, k, p.k);
    }
  }
  DEV void fetch_right(Raw& raw, u32 step, const Column& column, u32 k) const {
    bool second;
    k += place(step, second);
    const u64 at = column.first + (u64)k * p.n;
#pragma unroll
    for (u32 t = 0; t < TERMS; t++) {
      const u64* words = (second || t ? p.b[1] : p.b[0]) + at;
#pragma unroll
      for (u32 j = 0; j < 4; j++) raw.term[t][j] = column.exists && k + j < p.k ? words[(u64)j * p.n] : 0;
    }
  }
  DEV void left(const Raw& raw, u64 (&v)[4]) const { elements<SUMS>(raw, p.factor_a, v); }
  DEV void right(const Raw& raw, u64 (&v)[4]) const { elements<SUMS>(raw, p.factor_b, v); }
  DEV void put(u32 m, u32 n, u64 value, How how) const {
    if (m < p.m && n < p.n) ::put(&p.c[((u64)item * p.m + m) * p.n + n], value, how);
  }
};

template <bool SUMS> DEV void gemm_simt_body(const Gemm& p) {
  __shared__ SimtRoom room;
  Tile tile = tile_of(blockIdx.x, (p.m + SIMT_TILE - 1) / SIMT_TILE, (p.n + SIMT_TILE - 1) / SIMT_TILE);
  for (u32 item = blockIdx.z; item < p.batch; item += gridDim.z) {
    Matrices<SUMS, SIMT_DEPTH> load = {p, item};
    simt_product(load, room, tile, part_of(load.steps()), how());
  }
}

extern __shared__ __align__(16) u8 limb_room[];
template <bool SUMS, u32 ROWS> DEV void gemm_limb_body(const Gemm& p) {
  constexpr u32 COLS = 4096 / ROWS;
  Tile tile = tile_of(blockIdx.x, (p.m + ROWS - 1) / ROWS, (p.n + COLS - 1) / COLS);
  for (u32 item = blockIdx.z; item < p.batch; item += gridDim.z) {
    Matrices<SUMS, LIMB_DEPTH> load = {p, item};
    limb_product<ROWS>(load, limb_room, tile, part_of(load.steps()), how());
  }
}

// Grid of all: y = 1 to 65,535 blocks that share the steps of an element (with more than one, c is zeros before the
// launch), z = any number up to 65,535 of blocks that go through the batch. Of the first four, x = ceil(m / 64) *
// ceil(n / 64). Block 256.
//
// By multiply-adds of words: the reference, and for products too small to fill tensor cores. Steps are of 16.
KERNEL(gemm_simt, 256, 2, const __grid_constant__ Gemm p) { gemm_simt_body<false>(p); }
KERNEL(gemm_simt_sums, 256, 2, const __grid_constant__ Gemm p) { gemm_simt_body<true>(p); }
// By products of bytes on tensor cores. Steps are of 32. Dynamic shared memory: 65,536 bytes.
KERNEL(gemm_limb, 256, 1, const __grid_constant__ Gemm p) { gemm_limb_body<false, 64>(p); }
KERNEL(gemm_limb_sums, 256, 1, const __grid_constant__ Gemm p) { gemm_limb_body<true, 64>(p); }
// The same in tiles of 32x128, for results of few rows: x is made of ceil(rows / 32) * ceil(columns / 128). Dynamic
// shared memory: 81,920 bytes.
KERNEL(gemm_limb_low, 256, 1, const __grid_constant__ Gemm p) { gemm_limb_body<false, 32>(p); }
KERNEL(gemm_limb_low_sums, 256, 1, const __grid_constant__ Gemm p) { gemm_limb_body<true, 32>(p); }

// ---- few rows or few columns: every word of the large factor is read once, at the memory's rate --------------------

// m <= 8. A lane has a column, a warp every eighth group of 4 k.
template <bool SUMS> DEV void gemv_rows_body(const Gemm& p) {
  __shared__ u64 sums[8][8][32];
  constexpr u32 TERMS = SUMS ? 2 : 1;
  const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, col = blockIdx.x * 32 + lane;
  const bool exists = col < p.n;
  const Part part = part_of(p.k);
  const u32 first = part.first, end = part.end;
  for (u32 item = blockIdx.z; item < p.batch; item += gridDim.z) {
    u64 sum[8] = {};
    for (u32 pair = 0; pair < (SUMS ? 1 : p.pairs); pair++) {
      const u64* a = (pair ? p.a[1] : p.a[0]) + item * p.step_a;
      const u64* b = (pair ? p.b[1] : p.b[0]) + item * p.step_b + col;
      for (u32 k = first + warp * 4; k < end; k += 32) {
        Raw<SUMS> raw;
#pragma unroll
        for (u32 t = 0; t < TERMS; t++) {
          const u64* words = t ? p.b[1] + item * p.step_b + col : b;
#pragma unroll
          for (u32 j = 0; j < 4; j++) raw.term[t][j] = exists && k + j < end ? words[(u64)(k + j) * p.n] : 0;
        }
        u64 v[4];
        elements<SUMS>(raw, p.factor_b, v);
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
          if (i < p.m) {
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
              if (k + j < end) {
                u64 at = (u64)i * p.k + k + j;
                u64 left = SUMS ? a[at] * p.factor_a[0] + (p.a[1] + item * p.step_a)[at] * p.factor_a[1] : a[at];
                sum[i] += left * v[j];
              }
            }
          }
        }
      }
    }
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
      if (i < p.m) sums[i][warp][lane] = sum[i];
    }
    __syncthreads();
    // A warp adds up a row.
    if (warp < p.m && exists) {
      u64 total = 0;
#pragma unroll
      for (u32 w = 0; w < 8; w++) total += sums[warp][w][lane];
      put(&p.c[((u64)item * p.m + warp) * p.n + col], total, how());
    }
    __syncthreads();
  }
}

// n <= 8. A warp has two rows, a lane every 32nd k.
template <bool SUMS> DEV void gemv_cols_body(const Gemm& p) {
  constexpr u32 TERMS = SUMS ? 2 : 1;
  const u32 lane = threadIdx.x & 31, row = (blockIdx.x * 8 + (threadIdx.x >> 5)) * 2;
  const Part part = part_of(p.k);
  const u32 first = part.first, end = part.end;
  for (u32 item = blockIdx.z; item < p.batch; item += gridDim.z) {
    u64 sum[2][8] = {};
    for (u32 pair = 0; pair < (SUMS ? 1 : p.pairs); pair++) {
      const u64* b = (pair ? p.b[1] : p.b[0]) + item * p.step_b;
      for (u32 k = first + lane; k < end; k += 128) {
        u64 v[2][4];
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
          Raw<SUMS> raw;
#pragma unroll
          for (u32 t = 0; t < TERMS; t++) {
            const u64* words = (pair || t ? p.a[1] : p.a[0]) + item * p.step_a + (u64)(row + i) * p.k + k;
#pragma unroll
            for (u32 j = 0; j < 4; j++) raw.term[t][j] = row + i < p.m && k + 32 * j < end ? words[32 * j] : 0;
          }
          elements<SUMS>(raw, p.factor_a, v[i]);
        }
#pragma unroll
        for (u32 c = 0; c < 8; c++) {
          if (c < p.n) {
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
              if (k + 32 * j < end) {
                u64 at = (u64)(k + 32 * j) * p.n + c;
                u64 right = SUMS ? b[at] * p.factor_b[0] + (p.b[1] + item * p.step_b)[at] * p.factor_b[1] : b[at];
                sum[0][c] += v[0][j] * right;
                sum[1][c] += v[1][j] * right;
              }
            }
          }
        }
      }
    }
#pragma unroll
    for (u32 i = 0; i < 2; i++)
#pragma unroll
      for (u32 c = 0; c < 8; c++) {
        if (c < p.n) {
          u64 total = sum[i][c];
#pragma unroll
          for (u32 other = 16; other; other >>= 1) total += __shfl_xor_sync(ALL_LANES, total, other);
          if (lane == c && row + i < p.m) {
            put(&p.c[((u64)item * p.m + row + i) * p.n + c], total, how());
          }
        }
      }
  }
}

// For m <= 8. Grid: x = ceil(n / 32).
KERNEL(gemv_rows, 256, 4, const __grid_constant__ Gemm p) { gemv_rows_body<false>(p); }
KERNEL(gemv_rows_sums, 256, 3, const __grid_constant__ Gemm p) { gemv_rows_body<true>(p); }
// For n <= 8. Grid: x = ceil(m / 16).
KERNEL(gemv_cols, 256, 2, const __grid_constant__ Gemm p) { gemv_cols_body<false>(p); }
KERNEL(gemv_cols_sums, 256, 2, const __grid_constant__ Gemm p) { gemv_cols_body<true>(p); }
