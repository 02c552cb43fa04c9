// Products of matrices of words modulo 2^64, as cores over loaders: what is multiplied comes from a loader, which knows
// whether it is a matrix or the windows of an image, one term or the sum of two.
//
// A loader has
//   Column                         what it keeps of a column of the right factor
//   Column column(n)               for column n, which may lie outside
//   Raw                            words as loaded, of TERMS terms
//   fetch_left(raw, step, m, k)    the words of which elements [m, k..k+4) of a step of the left factor are made
//   fetch_right(raw, step, column, k)
//   left(raw, v), right(raw, v)    those elements; zeros outside of the factor
//   put(m, n, value, how)          stores an element of the result, if it has one there
//   steps()                        of all pairs; a step belongs to one pair, and k counts from its start
// Fetching only loads, so that words are on their way while something else is computed.
#pragma once
#include "device.h"

// How a value joins a result: in place of it, added to it by the only block that has it, added to it by one of several.
enum How { STORE, ADD, SHARE };
DEV void put(u64* at, u64 value, How how) {
  if (how == SHARE) {
    add_to(at, value);
  } else {
    *at = how == ADD ? *at + value : value;
  }
}

// Of blocks along y none has the element for itself.
DEV How how() { return gridDim.y > 1 ? SHARE : STORE; }

// Words as loaded: four of one term, or of two.
template <bool SUMS> struct Raw {
  u64 term[SUMS ? 2 : 1][4];
};
// The elements: the words, or (modulo 2^64) the sum of two terms with factors.
template <bool SUMS> DEV void elements(const Raw<SUMS>& raw, const u64 (&factor)[2], u64 (&v)[4]) {
#pragma unroll
  for (u32 j = 0; j < 4; j++) v[j] = SUMS ? raw.term[0][j] * factor[0] + raw.term[SUMS][j] * factor[1] : raw.term[0][j];
}

// Words k..k+4 of a row of `length` words that begins at `row`; zeros past its end, or if there is no such row. k is a
// multiple of 4.
DEV void load_row(u64 (&v)[4], const u64* row, bool exists, u32 k, u32 length) {
  const u64* at = row + k;
  if (exists && k + 4 <= length) {
    if (((u64)at & 8) == 0) {
      Pair p = ((const Pair*)at)[0], q = ((const Pair*)at)[1];
      v[0] = p.x, v[1] = p.y, v[2] = q.x, v[3] = q.y;
    } else {
#pragma unroll
      for (u32 j = 0; j < 4; j++) v[j] = at[j];
    }
  } else {
#pragma unroll
    for (u32 j = 0; j < 4; j++) v[j] = exists && k + j < length ? at[j] : 0;
  }
}

// The steps of this block when they are divided among blocks along y.
struct Part {
  u32 first, end;
};
DEV Part part_of(u32 steps) {
  u32 each = (steps + gridDim.y - 1) / gridDim.y, first = min(blockIdx.y * each, steps);
  return {first, min(first + each, steps)};
}

// Tile of a block, by rows of 8 tiles, so that blocks which run at the same time share operands.
struct Tile {
  u32 m, n;
};
DEV Tile tile_of(u32 number, u32 tiles_m, u32 tiles_n) {
  u32 band = number / (8 * tiles_n), inside = number % (8 * tiles_n), first = 8 * band;
  u32 height = tiles_m - first < 8 ? tiles_m - first : 8;
  return {first + inside % height, inside / height};
}

// ---- multiply-adds of words -------------------------------------------------------------------------------------

// A block of 256 threads computes 64x64 elements, 4x4 a thread, in steps of 16 multiply-adds. Pitches are such that
// neither stores nor loads of a half warp meet in a bank.
struct SimtRoom {
  u64 left[16][65], right[16][66];
};
enum : u32 { SIMT_TILE = 64, SIMT_DEPTH = 16 };

template <class Loader>
DEV void simt_product(const Loader& load, SimtRoom& room, Tile tile, Part part, How how) {
  u32 step = part.first;
  const u32 end = part.end;
  const u32 t = threadIdx.x, m0 = tile.m * SIMT_TILE, n0 = tile.n * SIMT_TILE;
  const u32 row = t >> 2, row_k = (t & 3) * 4, col = (t >> 5) * 8 + (t & 7), col_k = (t >> 3 & 3) * 4;
  const u32 x = t & 15, y = t >> 4;
  const typename Loader::Column column = load.column(n0 + col);
  typename Loader::Raw left, right;
  u64 sum[4][4] = {};
  if (step < end) {
    load.fetch_left(left, step, m0 + row, row_k);
    load.fetch_right(right, step, column, col_k);
  }
  for (; step < end; step++) {
    u64 v[4];
    load.left(left, v);
#pragma unroll
    for (u32 j = 0; j < 4; j++) room.left[row_k + j][row] = v[j];
    load.right(right, v);
#pragma unroll
    for (u32 j = 0; j < 4; j++) room.right[col_k + j][col] = v[j];
    __syncthreads();
    if (step + 1 < end) {
      load.fetch_left(left, step + 1, m0 + row, row_k);
      load.fetch_right(right, step + 1, column, col_k);
    }
#pragma unroll 4
    for (u32 k = 0; k < SIMT_DEPTH; k++) {
      u64 a[4], b[4];
#pragma unroll
      for (u32 i = 0; i < 4; i++) a[i] = room.left[k][y + 16 * i], b[i] = room.right[k][x + 16 * i];
#pragma unroll
      for (u32 i = 0; i < 4; i++)
#pragma unroll
        for (u32 j = 0; j < 4; j++) sum[i][j] += a[i] * b[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (u32 i = 0; i < 4; i++)
#pragma unroll
    for (u32 j = 0; j < 4; j++) load.put(m0 + y + 16 * i, n0 + x + 16 * j, sum[i][j], how);
}

// ---- products of bytes on tensor cores --------------------------------------------------------------------------

// A word is its 8 bytes: modulo 2^64 the 36 products of bytes i and j with i + j < 8 matter, which are gathered in 8
// sums by i + j. For i + j <= 3 a sum is needed exactly: (i + j + 1) * 255^2 * depth < 2^32 holds up to a depth of
// 16,512. For larger i + j the shift leaves the low 32 bits or fewer, and wrapping does no harm. So sums become words
// every 512 steps of 32.
//
// A block of 8 warps computes ROWS x COLS elements, 64x64 or 32x128, a warp 16x32, in steps of 32. Factors are split
// into planes of bytes on their way into shared memory, of which there are two sets: while one is multiplied the other
// is filled, from words that were fetched two or three groups of multiplications before.
//
// A plane's rows (of the left factor; then columns of the right one) have 32 bytes, in two halves that change places
// every four rows: so 8 rows of 16 bytes, and the 32 stores of a warp, are in different banks.
enum : u32 { LIMB_DEPTH = 32, LIMB_STEPS = 512 };

// Where bytes k.. of a row are; rows of the right factor follow those of the left one.
DEV u32 limb_place(u32 row, u32 k) { return row * LIMB_DEPTH + (k ^ (row & 4) << 2); }

// Bytes 4 half.. of four words: byte by byte, those of the four together.
DEV void take_apart(u32 (&bytes)[4], const u64 (&v)[4], u32 half) {
  u32 x[4];
#pragma unroll
  for (u32 j = 0; j < 4; j++) x[j] = (u32)(v[j] >> 32 * half);
  u32 a = prmt(x[0], x[1], 0x5140), b = prmt(x[2], x[3], 0x5140);
  u32 c = prmt(x[0], x[1], 0x7362), d = prmt(x[2], x[3], 0x7362);
  bytes[0] = prmt(a, b, 0x5410);
  bytes[1] = prmt(a, b, 0x7632);
  bytes[2] = prmt(c, d, 0x5410);
  bytes[3] = prmt(c, d, 0x7632);
}

// Four words as 8 times four bytes, in one row of each plane of so many bytes.
template <u32 PLANE> DEV void split(u8* set, u32 row, u32 k, const u64 (&v)[4]) {
  u8* at = set + limb_place(row, k);
#pragma unroll
  for (u32 half = 0; half < 2; half++) {
    u32 bytes[4];
    take_apart(bytes, v, half);
#pragma unroll
    for (u32 i = 0; i < 4; i++) *(u32*)(at + (4 * half + i) * PLANE) = bytes[i];
  }
}

template <class Loader, u32 ROWS> struct Limbs {
  typedef typename Loader::Raw Raw;
  // Dynamic shared memory of a block is two sets.
  enum : u32 { COLS = 4096 / ROWS, PLANE = (ROWS + COLS) * LIMB_DEPTH, SET = 8 * PLANE };
  // A thread splits groups of four words: rows of 8 groups for the left factor; for the right one a warp has 8 columns
  // by 4 groups, and a thread two groups of each of its columns.
  enum : u32 { LEFT = ROWS / 32, GROUPS = LEFT + COLS / 32 };
  // Groups of words on their way at a time: as many as registers allow for.
  enum : u32 { AHEAD = Loader::TERMS == 2 ? 2 : 3 };
  const Loader& load;
  u8* room;
  u32 m0;
  typename Loader::Column columns[COLS / 64];

  DEV static u32 left_row(u32 group) { return (threadIdx.x >> 3) + 32 * group; }
  DEV static u32 left_k() { return (threadIdx.x & 7) * 4; }
  DEV static u32 right_col(u32 column) { return (threadIdx.x >> 5) * 8 + (threadIdx.x & 7) + 64 * column; }
  DEV static u32 right_k(u32 group) { return (threadIdx.x >> 3 & 3) * 4 + (group & 1) * 16; }

  DEV void fetch(Raw& raw, u32 group, u32 step) const {
    if (group < LEFT) {
      load.fetch_left(raw, step, m0 + left_row(group), left_k());
    } else {
      load.fetch_right(raw, step, columns[(group - LEFT) / 2], right_k(group - LEFT));
    }
  }
  DEV void fetch_first(Raw (&raw)[AHEAD], u32 step, u32 end) const {
    if (step < end) {
#pragma unroll
      for (u32 g = 0; g < AHEAD; g++) fetch(raw[g], g, step);
    }
  }
  DEV void keep(const Raw& raw, u32 group, u32 step) const {
    u8* set = room + (step & 1) * SET;
    u64 v[4];
    if (group < LEFT) {
      load.left(raw, v);
      split<PLANE>(set, left_row(group), left_k(), v);
    } else {
      load.right(raw, v);
      split<PLANE>(set, ROWS + right_col((group - LEFT) / 2), right_k(group - LEFT), v);
    }
  }
};

// A warp's 16x32 elements from row m0 and column n0 on, each of its sums of byte products: `put(row, col, element)`.
template <class Put> DEV void limb_elements(const u32 (&sum)[8][4][4], u32 m0, u32 n0, Put put) {
  // Hides that places do not change from one sum to the next, so that they are not kept in registers meanwhile.
  u32 place = threadIdx.x & 31;
  asm volatile("" : "+r"(place));
  const u32 m = m0 + (place >> 2), n1 = n0 + (place & 3) * 2;
#pragma unroll
  for (u32 n = 0; n < 4; n++)
#pragma unroll
    for (u32 r = 0; r < 4; r++) {
      u64 value = 0;
#pragma unroll
      for (u32 s = 0; s < 8; s++) value += (u64)sum[s][n][r] << 8 * s;
      put(m + (r >> 1) * 8, n1 + n * 8 + (r & 1), value);
    }
}

// The elements of a tile, from the part's steps. `how` says how they join the result; sums of more than LIMB_STEPS are
// then added by this block alone.
template <u32 ROWS, class Loader>
DEV void limb_product(const Loader& load, u8* room, Tile tile, Part part, How how) {
  u32 step = part.first;
  const u32 end = part.end;
  typedef Limbs<Loader, ROWS> L;
  const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const u32 m0 = tile.m * ROWS, n0 = tile.n * L::COLS;
  L limbs = {load, room, m0, {}};
#pragma unroll
  for (u32 c = 0; c < L::COLS / 64; c++) limbs.columns[c] = load.column(n0 + L::right_col(c));
  typename Loader::Raw raw[L::AHEAD];
  const u32 wm = warp % (ROWS / 16) * 16, wn = warp / (ROWS / 16) * 32;
  // Where this lane's row is of the four matrices that a load brings: rows 0-7 and 8-15 by bytes 0-15 and 16-31 on the
  // left; columns 0-7 by bytes 0-15 and 16-31, then columns 8-15, on the right.
  const u32 left = limb_place(wm + (lane & 15), lane >> 4 << 4);
  const u32 right = limb_place(ROWS + wn + (lane & 7) + (lane >> 4 << 3), (lane >> 3 & 1) << 4);

  if (step < end) {
#pragma unroll
    for (u32 g = 0; g < L::GROUPS; g++) {
      limbs.fetch(raw[0], g, step);
      limbs.keep(raw[0], g, step);
    }
  }
  __syncthreads();
  limbs.fetch_first(raw, step + 1, end);
  do {
    u32 sum[8][4][4] = {};
    const u32 stop = end - step > LIMB_STEPS ? step + LIMB_STEPS : end;
    for (; step < stop; step++) {
      const u8* set = room + (step & 1) * L::SET;
      const bool more = step + 1 < end;
      u32 a[8][4];
#pragma unroll
      for (u32 i = 0; i < 8; i++) load_matrices(a[i], set + left + i * L::PLANE);
#pragma unroll
      for (u32 j = 0; j < 8; j++) {
        u32 b[2][4];
        load_matrices(b[0], set + right + j * L::PLANE);
        load_matrices(b[1], set + right + j * L::PLANE + 16 * LIMB_DEPTH);
#pragma unroll
        for (u32 i = 0; i < 8 - j; i++)
#pragma unroll
          for (u32 n = 0; n < 4; n++) mma_u8(sum[i + j][n], a[i], b[n >> 1][2 * (n & 1)], b[n >> 1][2 * (n & 1) + 1]);
        if (more && j < L::GROUPS) {
          limbs.keep(raw[j % L::AHEAD], j, step + 1);
          if (j + L::AHEAD < L::GROUPS) limbs.fetch(raw[j % L::AHEAD], j + L::AHEAD, step + 1);
          // The rest of this step's multiplications hides the first of the next one's words.
          if (j == L::GROUPS - 1) limbs.fetch_first(raw, step + 2, end);
        }
      }
      __syncthreads();
    }
    limb_elements(sum, m0 + wm, n0 + wn, [&](u32 row, u32 col, u64 value) { load.put(row, col, value, how); });
    if (how == STORE) how = ADD;
  } while (step < end);
}
