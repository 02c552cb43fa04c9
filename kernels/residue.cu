// Large products of matrices of words modulo 2^64 by residues: c = sum over pairs j of a[j] * b[j], [m, k] by [k, n].
//
// Words are read as numbers with a sign, from -2^63 to 2^63 - 1. The exact product C, of depth K = pairs * k, has
// |C| <= K * 2^126. It is known by its residues modulo numbers without common factors whose product P is large enough;
// each residue is a product of matrices of bytes, of which there are 18 or 19 instead of the 36 of `gemm_limb`:
//
//   residue_split_left, _right   residues of the factors, bytes from 0 to p - 1
//   residue_product              r_p = C mod p, a byte an element
//   residue_join                 C = sum r_p W_p - q P, W_p = (P / p) * (its inverse mod p), modulo 2^64
//
// The sum is known exactly modulo 2^64. With v_p = W_p / P = inverse / p it is C / P = sum r_p v_p - q, so q is the sum
// of r_p v_p rounded, if |C| / P < 1 / 2 - e where e bounds the error of that sum. It is in fixed point, with 19 bits of
// fraction: e is the sum of (p - 1) times the error of v_p, 0.0023. Sums stay below 19 * 255 * 2^19 < 2^32.
//
// Limits: 18 moduli do for K up to (1 / 2 - e) * P / 2^126, 11,162; 19 would for 2,000,000, but sums of products of
// bytes are exact while 255^2 * K < 2^32, for K up to 66,051. A deeper product is a sum of several, each but the first added to the result. Factors may be parts of
// matrices (`pitch`), so that one too large for the room is made in bands of rows or columns. Batches are made matrix
// by matrix; a factor that serves all is split once. m, n, k >= 1.
//
// Planes. A factor's lines (rows of a, columns of b) are in panels of 128 (left) or 256 (right), its depth in steps of
// 64, where each pair begins a step. What is missing from a panel or a step is zeros. A plane, of the residues by one
// modulus, is [panel][step][line of the panel][64 bytes], as shared memory has them: the four parts of 16 bytes of a
// line change places, so that the same part of any 8 lines in a row, at multiples of 8, is in 32 different banks.
// Planes are one after the other. With steps = pairs * ceil(k / 64), tiles_m = ceil(m / 128), tiles_n = ceil(n / 256),
// the room, in bytes and at multiples of 16, is
//   left   moduli * tiles_m * steps * 8,192
//   right  moduli * tiles_n * steps * 16,384
//   bytes  moduli * tiles_m * tiles_n * 32,768
#include "terms.h"

enum : u32 { MOST_MODULI = 19, STEP = 64, LEFT_LINES = 128, RIGHT_LINES = 256, STAGES = 4, FRACTION = 19 };
enum : u32 { LEFT_STAGE = LEFT_LINES * STEP, RIGHT_STAGE = RIGHT_LINES * STEP, STAGE = LEFT_STAGE + RIGHT_STAGE };
enum : u32 { TILE_BYTES = LEFT_LINES * RIGHT_LINES };

// The largest numbers up to 256 without common factors.
#define MODULI {256, 255, 253, 251, 247, 241, 239, 233, 229, 227, 223, 217, 211, 199, 197, 193, 191, 181, 179}

struct Modulus {
  u32 p;
  // 256^i mod p for i < 4 and for i >= 4, a byte each; -2^63 mod p; 2^32 / p rounded up.
  u32 low, high, start, reciprocal;
};
// For 18 or 19 moduli: W_p mod 2^64 and round(2^19 v_p).
struct Weight {
  u64 word;
  u32 fraction, unused;
};
struct Residues {
  Modulus modulus[MOST_MODULI];
  Weight weight[2][MOST_MODULI];
  // P mod 2^64.
  u64 range[2];
};
__device__ constexpr Residues residues() {
  constexpr u32 moduli[MOST_MODULI] = MODULI;
  Residues all = {};
  for (u32 i = 0; i < MOST_MODULI; i++) {
    const u32 p = moduli[i];
    u32 power[9] = {1 % p};
    for (u32 j = 0; j < 8; j++) power[j + 1] = power[j] * 256 % p;
    Modulus& m = all.modulus[i];
    m.p = p;
    for (u32 j = 0; j < 4; j++) m.low |= power[j] << 8 * j, m.high |= power[4 + j] << 8 * j;
    m.start = (p - power[7] * 128 % p) % p;
    m.reciprocal = (u32)(((1ull << 32) + p - 1) / p);
  }
  for (u32 more = 0; more < 2; more++) {
    const u32 count = MOST_MODULI - 1 + more;
    all.range[more] = 1;
    for (u32 i = 0; i < count; i++) {
      const u32 p = moduli[i];
      all.range[more] *= p;
      u64 others = 1;
      u32 rest = 1, inverse = 1;
      for (u32 j = 0; j < count; j++) {
        if (j != i) others *= moduli[j], rest = rest * moduli[j] % p;
      }
      while (rest * inverse % p != 1) inverse++;
      all.weight[more][i] = {others * inverse, (2 * (inverse << FRACTION) + p) / (2 * p), 0};
    }
  }
  return all;
}
__constant__ const Residues RESIDUES = residues();

// ---- residues of words --------------------------------------------------------------------------------------------

// x mod p: x + 2^63 has no sign, its bytes weigh 256^i mod p, and what they and -2^63 mod p come to is below 2^19. For
// such numbers the upper half of the product with the reciprocal is the quotient: before its fraction is dropped it is
// too large by less than n / 2^32, which is less than 1 / p.
DEV u32 residue(u64 x, const Modulus& m) {
  u32 n = __dp4a((u32)x, m.low, __dp4a((u32)(x >> 32) ^ 0x80000000, m.high, m.start));
  return n - m.p * __umulhi(n, m.reciprocal);
}

// The byte at bits 0-7 of each.
DEV u32 join_bytes(u32 a, u32 b, u32 c, u32 d) { return prmt(prmt(a, b, 0x40), prmt(c, d, 0x40), 0x5410); }

// A thread makes 16 bytes of each plane, a block 64 lines of a step.
template <bool RIGHT> DEV void split_body(const Split& p) {
  constexpr u32 PARTS = (RIGHT ? RIGHT_LINES : LEFT_LINES) / 64;
  const u32 steps_of_pair = (p.k + STEP - 1) / STEP, steps = steps_of_pair * p.pairs;
  const u32 part = blockIdx.x % PARTS, step = blockIdx.x / PARTS % steps, panel = blockIdx.x / PARTS / steps;
  const u32 row = threadIdx.x >> 2, line = (panel * PARTS + part) * 64 + row;
  const bool second = step >= steps_of_pair;
  const u32 k = (second ? step - steps_of_pair : step) * STEP + ((threadIdx.x ^ row >> 1) & 3) * 16;
  Quad* out = (Quad*)(p.planes + (u64)blockIdx.x * 4096 + threadIdx.x * 16);
  const u64 next = (u64)gridDim.x * 4096 / sizeof(Quad);
  if (line >= p.lines || k >= p.k) {
#pragma unroll 1
    for (u32 i = 0; i < p.count; i++) out[i * next] = {0, 0, 0, 0};
    return;
  }
  u64 x[16];
  terms_at<RIGHT>(x, p, p.pair[second], line, k);
#pragma unroll 1
  for (u32 i = 0; i < p.count; i++) {
    const Modulus& m = RESIDUES.modulus[i];
    u32 r[4];
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
      const u64* of = x + 4 * j;
      r[j] = join_bytes(residue(of[0], m), residue(of[1], m), residue(of[2], m), residue(of[3], m));
    }
    out[i * next] = {r[0], r[1], r[2], r[3]};
  }
}

// Grid: x = tiles_m * steps * 2 (left), tiles_n * steps * 4 (right). Block 256. Pointers to words are multiples of 8.
KERNEL(residue_split_left, 256, 3, const __grid_constant__ Split p) { split_body<false>(p); }
KERNEL(residue_split_right, 256, 2, const __grid_constant__ Split p) { split_body<true>(p); }

// ---- products of residues -----------------------------------------------------------------------------------------

struct Product {
  const u8 *left, *right;
  u8* bytes;
  u32 m, n, steps;
};

// What a warp multiplies at a time: 64 rows and 64 columns, 32 deep.
struct Fragments {
  u32 left[4][4], right[4][4];
  DEV void load(const u8* left_at, const u8* right_at) {
#pragma unroll
    for (u32 i = 0; i < 4; i++) load_matrices(left[i], left_at + i * 16 * STEP);
#pragma unroll
    for (u32 i = 0; i < 4; i++) load_matrices(right[i], right_at + i * 16 * STEP);
  }
  DEV void multiply(u32 (&sum)[4][8][4]) const {
#pragma unroll
    for (u32 i = 0; i < 4; i++)
#pragma unroll
      for (u32 j = 0; j < 8; j++) mma_u8(sum[i][j], left[i], right[j >> 1][2 * (j & 1)], right[j >> 1][2 * (j & 1) + 1]);
  }
};

// n mod p for any n: the quotient from the reciprocal is at most one too large.
DEV u32 residue_of_sum(u32 n, const Modulus& m) {
  u32 r = n - m.p * __umulhi(n, m.reciprocal);
  return min(r, r + m.p);
}

// Grid: x = tiles_m * tiles_n, z = moduli. Block 256. Dynamic shared memory: 98,304 bytes.
//
// A block computes 128x256 elements for one modulus, a warp 64x64. Four stages of shared memory have one step each:
// while a step is multiplied, three are on their way. A warp loads what it multiplies next while it multiplies.
//
// A thread has 2 columns of 8 and a row of 16, in each of 4x8 such tiles. It stores, for each of its 8 rows, the bytes
// of its 16 columns together; a block's are [row of the thread][thread][16 bytes].
extern __shared__ __align__(128) u8 residue_room[];
KERNEL(residue_product, 256, 1, const __grid_constant__ Product p) {
  const u32 tiles_m = (p.m + LEFT_LINES - 1) / LEFT_LINES, tiles_n = (p.n + RIGHT_LINES - 1) / RIGHT_LINES;
  const Tile tile = tile_of(blockIdx.x, tiles_m, tiles_n);
  const u32 t = threadIdx.x, lane = t & 31, warp = t >> 5, wm = (warp & 1) * 64, wn = (warp >> 1) * 64;
  const u32 steps = p.steps;
  const u8* left_from = p.left + ((u64)blockIdx.z * tiles_m + tile.m) * steps * LEFT_STAGE + t * 16;
  const u8* right_from = p.right + ((u64)blockIdx.z * tiles_n + tile.n) * steps * RIGHT_STAGE + t * 16;
  // Where this lane's line is of the four matrices that a load brings (see `limb_product`), at depths 0-31; depths
  // 32-63 are where bit 5 differs.
  const u32 row = wm + (lane & 15), col = wn + (lane & 7) + (lane >> 4 << 3);
  const u32 left_at = row * STEP + (((lane >> 4) ^ (row >> 1 & 3)) << 4);
  const u32 right_at = LEFT_STAGE + col * STEP + (((lane >> 3 & 1) ^ (col >> 1 & 3)) << 4);
  // A warp all of whose elements are outside only copies.
  const bool busy = tile.m * LEFT_LINES + wm < p.m && tile.n * RIGHT_LINES + wn < p.n;

  auto fill = [&](u32 step) {
    if (step < steps) {
      u8* to = residue_room + step % STAGES * STAGE + t * 16;
#pragma unroll
      for (u32 i = 0; i < LEFT_STAGE; i += 4096) copy_quad(to + i, left_from + (u64)step * LEFT_STAGE + i);
#pragma unroll
      for (u32 i = 0; i < RIGHT_STAGE; i += 4096) {
        copy_quad(to + LEFT_STAGE + i, right_from + (u64)step * RIGHT_STAGE + i);
      }
    }
    end_copies();
  };
  auto load = [&](Fragments& f, u32 step, u32 half) {
    const u32 stage = step % STAGES * STAGE;
    f.load(residue_room + (stage + (left_at ^ half)), residue_room + (stage + (right_at ^ half)));
  };

  u32 sum[4][8][4] = {};
  Fragments now, then;
#pragma unroll
  for (u32 step = 0; step < STAGES - 1; step++) fill(step);
  await_copies<STAGES - 2>();
  __syncthreads();
  if (busy) load(now, 0, 0);
#pragma unroll 1
  for (u32 step = 0; step < steps; step++) {
    if (busy) load(then, step, 32);
    // Into the stage whose last matrices all had loaded at the barrier before.
    fill(step + STAGES - 1);
    if (busy) now.multiply(sum);
    await_copies<STAGES - 2>();
    __syncthreads();
    if (busy) {
      if (step + 1 < steps) load(now, step + 1, 0);
      then.multiply(sum);
    }
  }
  if (!busy) return;

  const Modulus m = RESIDUES.modulus[blockIdx.z];
  u8* to = p.bytes + (((u64)blockIdx.z * tiles_m + tile.m) * tiles_n + tile.n) * TILE_BYTES + t * 16;
#pragma unroll
  for (u32 i = 0; i < 4; i++)
#pragma unroll
    for (u32 h = 0; h < 2; h++) {
      u32 r[4];
#pragma unroll
      for (u32 j = 0; j < 4; j++) {
        const u32(&a)[4] = sum[i][2 * j], (&b)[4] = sum[i][2 * j + 1];
        r[j] = join_bytes(residue_of_sum(a[2 * h], m), residue_of_sum(a[2 * h + 1], m), residue_of_sum(b[2 * h], m),
                          residue_of_sum(b[2 * h + 1], m));
      }
      *(Quad*)(to + (2 * i + h) * 4096) = {r[0], r[1], r[2], r[3]};
    }
}

// ---- words from residues ------------------------------------------------------------------------------------------

struct Joined {
  const u8* bytes;
  u64* c;
  // Words from a row of the result to the next.
  u64 pitch;
  u32 m, n, moduli;
  // Whether the product is added to the result instead of replacing it.
  u32 add;
};

// Grid: x = tiles_m * tiles_n * 8. Block 256. A thread has 16 elements of a row; those of 4 lanes are 8 times 8 columns.
KERNEL(residue_join, 256, 2, const __grid_constant__ Joined p) {
  const u32 t = threadIdx.x, lane = t & 31, warp = t >> 5, part = blockIdx.x & 7, tile = blockIdx.x >> 3;
  const u32 tiles_n = (p.n + RIGHT_LINES - 1) / RIGHT_LINES;
  const u32 m = tile / tiles_n * LEFT_LINES + (warp & 1) * 64 + part * 8 + (lane >> 2);
  const u32 n = tile % tiles_n * RIGHT_LINES + (warp >> 1) * 64 + (lane & 3) * 2;
  if (m >= p.m || n >= p.n) return;
  const Quad* from = (const Quad*)(p.bytes + (u64)blockIdx.x * 4096 + t * 16);
  const u64 next = (u64)gridDim.x * 4096 / sizeof(Quad);
  const bool more = p.moduli == MOST_MODULI;
  u64 sum[16] = {};
  u32 quotient[16];
#pragma unroll
  for (u32 j = 0; j < 16; j++) quotient[j] = 1u << (FRACTION - 1);
#pragma unroll 3
  for (u32 i = 0; i < p.moduli; i++) {
    const Quad bytes = from[i * next];
    const u32 four[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
    const Weight weight = RESIDUES.weight[more][i];
#pragma unroll
    for (u32 j = 0; j < 16; j++) {
      const u32 r = four[j >> 2] >> 8 * (j & 3) & 255;
      sum[j] += r * weight.word;
      quotient[j] += r * weight.fraction;
    }
  }
  u64* row = p.c + m * p.pitch;
#pragma unroll
  for (u32 j = 0; j < 8; j++) {
    u64* at = row + (n + 8 * j);
    const u64 x = sum[2 * j] - (quotient[2 * j] >> FRACTION) * RESIDUES.range[more];
    const u64 y = sum[2 * j + 1] - (quotient[2 * j + 1] >> FRACTION) * RESIDUES.range[more];
    const How how = p.add ? ADD : STORE;
    if (((u64)at & 8) == 0 && n + 8 * j + 1 < p.n) {
      Pair both = p.add ? *(Pair*)at : Pair{0, 0};
      *(Pair*)at = {both.x + x, both.y + y};
    } else {
      if (n + 8 * j < p.n) put(at, x, how);
      if (n + 8 * j + 1 < p.n) put(at + 1, y, how);
    }
  }
}
