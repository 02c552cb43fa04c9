// Matrix products of words modulo 2^64 by bytes, as `gemm_limb` computes them, but with both factors split into planes of
// bytes beforehand: c = sum over pairs j of a[j] * b[j], [m, k] by [k, n]. What a block multiplies then only has to be
// copied into shared memory, where several steps are on their way at a time, and no register holds what is loaded.
//
//   plane_split_left, _right   bytes of the factors
//   plane_product              36 products of planes, gathered in 8 sums
//
// A factor's lines (rows of a, columns of b) are in panels of 64, its depth in steps of 32, where each pair begins a step.
// What is missing from a panel or a step is zeros. Planes are [panel][step][byte of the word][line of the panel][32 bytes],
// as shared memory has them: the halves of a line change places every four lines (`limb_place`). With steps = pairs *
// ceil(k / 32) a factor takes ceil(lines / 64) * steps * 16,384 bytes, at a multiple of 16. Factors may be parts of
// matrices (`pitch`). Batches are made matrix by matrix. m, n, k >= 1; any depth.
#include "terms.h"

enum : u32 { PANEL = 64, STAGES = 3, PLANE = PANEL * LIMB_DEPTH, SIDE = 8 * PLANE, STAGE = 2 * SIDE };

// A thread makes 16 bytes of each plane, a block two steps of a panel.
template <bool RIGHT> DEV void split_body(const Split& p) {
  const u32 steps_of_pair = (p.k + LIMB_DEPTH - 1) / LIMB_DEPTH, steps = steps_of_pair * p.pairs;
  const u32 unit = blockIdx.x * 2 + (threadIdx.x >> 7), t = threadIdx.x & 127;
  const u32 panel = unit / steps, step = unit % steps, line = panel * PANEL + (t >> 1);
  if (panel * PANEL >= p.lines) return;
  const bool second = step >= steps_of_pair;
  const u32 k = (second ? step - steps_of_pair : step) * LIMB_DEPTH + ((t ^ t >> 3) & 1) * 16;
  u64 x[16] = {};
  if (line < p.lines && k < p.k) terms_at<RIGHT>(x, p, p.pair[second], line, k);
  u8* out = p.planes + (u64)unit * SIDE + t * 16;
#pragma unroll
  for (u32 half = 0; half < 2; half++) {
    u32 bytes[4][4];
#pragma unroll
    for (u32 g = 0; g < 4; g++) {
      const u64 v[4] = {x[4 * g], x[4 * g + 1], x[4 * g + 2], x[4 * g + 3]};
      take_apart(bytes[g], v, half);
    }
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
      *(Quad*)(out + (4 * half + i) * PLANE) = {bytes[0][i], bytes[1][i], bytes[2][i], bytes[3][i]};
    }
  }
}

// Grid: x = ceil(ceil(lines / 64) * steps / 2). Block 256. Pointers to words are multiples of 8; `count` is not read.
KERNEL(plane_split_left, 256, 3, const __grid_constant__ Split p) { split_body<false>(p); }
KERNEL(plane_split_right, 256, 3, const __grid_constant__ Split p) { split_body<true>(p); }

struct Planes {
  const u8 *left, *right;
  u64* c;
  // Words from a row of the result to the next.
  u64 pitch;
  u32 m, n, steps;
  // Whether the product is added to the result instead of replacing it.
  u32 add;
};

// Grid: x = ceil(m / 64) * ceil(n / 64), y = 1 to 65,535 blocks that share the steps of an element (with more than one,
// what is in c is added to). Block 256. Dynamic shared memory: 98,304 bytes.
//
// A block computes 64x64 elements, a warp 16x32, in steps of 32. Three stages of shared memory have one step each: while
// a step is multiplied, two are on their way. Sums become words every LIMB_STEPS steps (`limb_product`).
extern __shared__ __align__(128) u8 plane_room[];
KERNEL(plane_product, 256, 1, const __grid_constant__ Planes p) {
  const Tile tile = tile_of(blockIdx.x, (p.m + PANEL - 1) / PANEL, (p.n + PANEL - 1) / PANEL);
  const Part part = part_of(p.steps);
  const u32 t = threadIdx.x, lane = t & 31, warp = t >> 5, wm = (warp & 3) * 16, wn = (warp >> 2) * 32;
  const u8* left_from = p.left + (u64)tile.m * p.steps * SIDE + t * 16;
  const u8* right_from = p.right + (u64)tile.n * p.steps * SIDE + t * 16;
  // Where this lane's row is of the four matrices that a load brings (see `limb_product`).
  const u32 left_at = limb_place(wm + (lane & 15), lane >> 4 << 4);
  const u32 right_at = SIDE + limb_place(wn + (lane & 7) + (lane >> 4 << 3), (lane >> 3 & 1) << 4);

  auto fill = [&](u32 step) {
    if (step < part.end) {
      u8* to = plane_room + step % STAGES * STAGE + t * 16;
#pragma unroll
      for (u32 i = 0; i < SIDE; i += 4096) {
        copy_quad(to + i, left_from + (u64)step * SIDE + i);
        copy_quad(to + SIDE + i, right_from + (u64)step * SIDE + i);
      }
    }
    end_copies();
  };
  u32 step = part.first;
#pragma unroll
  for (u32 ahead = 0; ahead < STAGES - 1; ahead++) fill(step + ahead);
  How to = gridDim.y > 1 ? SHARE : p.add ? ADD : STORE;
  do {
    u32 sum[8][4][4] = {};
    const u32 stop = part.end - step > LIMB_STEPS ? step + LIMB_STEPS : part.end;
#pragma unroll 1
    for (; step < stop; step++) {
      await_copies<STAGES - 2>();
      __syncthreads();
      // Into the stage that all had multiplied at the barrier.
      fill(step + STAGES - 1);
      const u8* stage = plane_room + step % STAGES * STAGE;
      u32 a[8][4];
#pragma unroll
      for (u32 i = 0; i < 8; i++) load_matrices(a[i], stage + left_at + i * PLANE);
#pragma unroll
      for (u32 j = 0; j < 8; j++) {
        u32 b[2][4];
        load_matrices(b[0], stage + right_at + j * PLANE);
        load_matrices(b[1], stage + right_at + j * PLANE + 16 * LIMB_DEPTH);
#pragma unroll
        for (u32 i = 0; i < 8 - j; i++)
#pragma unroll
          for (u32 n = 0; n < 4; n++) mma_u8(sum[i + j][n], a[i], b[n >> 1][2 * (n & 1)], b[n >> 1][2 * (n & 1) + 1]);
      }
    }
    limb_elements(sum, tile.m * PANEL + wm, tile.n * PANEL + wn, [&](u32 row, u32 col, u64 value) {
      if (row < p.m && col < p.n) put(&p.c[row * p.pitch + col], value, to);
    });
    if (to == STORE) to = ADD;
  } while (step < part.end);
}
