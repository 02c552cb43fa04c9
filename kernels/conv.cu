// Convolutions of words modulo 2^64, as matrix products whose right factor is gathered from the image.
#include "product.h"

// out[i, o, y, x] = sum over pairs, channels d of o's group and places (r, s) of the window of image[i, d, y * stride -
// pad + r * dilation, ...] * weight[o, d, r, s], zeros around the image; in the kernels of sums image and weight are
// factor[0] times the first plus factor[1] times the second. image is [images, groups * channels, height, width],
// weight [groups * outputs, channels, window], out [images, groups * outputs, result].
//
// For each group the left factor is the weights, [outputs, channels * window] as they lie; the right one has a column
// for each pixel of each image's result. Both those numbers are below 2^31, as are the words of an image.
struct Conv {
  const u64 *image[2], *weight[2];
  u64* out;
  u64 image_factor[2], weight_factor[2];
  // Channels and outputs are those of one group.
  u32 images, groups, channels, outputs;
  // Each a number of rows, then of columns.
  u32 size[2], window[2], stride[2], pad[2], dilation[2], result[2];
  // By result[0] * result[1], result[1], window[0] * window[1], window[1].
  Divisor by_image, by_row, by_channel, by_line;
  // 1 or 2; 1 in the kernels of sums.
  u32 pairs;

  DEV u32 depth() const { return channels * window[0] * window[1]; }
  DEV u32 pixels() const { return result[0] * result[1]; }
  DEV u32 columns() const { return images * pixels(); }
};

// A pixel of the result: the first word of its group of its image, and where the window's first place is.
struct Pixel {
  u64 words;
  s32 y, x;
};
DEV Pixel pixel_at(const Conv& p, u32 number, u32 group) {
  // One past the end is as good as far past: its window is in no image.
  if (number >= p.columns()) return {0, (s32)0x40000000, 0};
  u32 image = divide(number, p.by_image), inside = number - image * p.pixels(), y = divide(inside, p.by_row);
  u32 x = inside - y * p.result[1];
  return {((u64)image * p.groups + group) * p.channels * p.size[0] * p.size[1],
          (s32)(y * p.stride[0]) - (s32)p.pad[0], (s32)(x * p.stride[1]) - (s32)p.pad[1]};
}

template <bool SUMS, u32 DEPTH> struct Windows {
  typedef ::Raw<SUMS> Raw;
  typedef Pixel Column;
  static constexpr u32 TERMS = SUMS ? 2 : 1;
  const Conv& p;
  u32 group;

  DEV u32 steps_of_pair() const { return (p.depth() + DEPTH - 1) / DEPTH; }
  DEV u32 steps() const { return steps_of_pair() * (SUMS ? 1 : p.pairs); }
  DEV Column column(u32 n) const { return pixel_at(p, n, group); }
  DEV u32 place(u32 step, bool& second) const {
    second = !SUMS && step >= steps_of_pair();
    return (second ? step - steps_of_pair() : step) * DEPTH;
  }
  DEV void fetch_left(Raw& raw, u32 step, u32 m, u32 k) const {
    bool second;
    k += place(step, second);
#pragma unroll
    for (u32 t = 0; t < TERMS; t++) {
      const u64* row = (second || t ? p.weight[1] : p.weight[0]) + ((u64)group * p.outputs + m) * p.depth();
      load_row(raw.term[t], row, m < p.outputs, k, p.depth());
    }
  }
  DEV void fetch_right(Raw& raw, u32 step, const Column& pixel, u32 k) const {
    bool second;
    k += place(step, second);
    // Four places from k on: the first by division, the others by counting.
    u32 channel = divide(k, p.by_channel), inside = k - channel * p.window[0] * p.window[1];
    u32 line = divide(inside, p.by_line), column = inside - line * p.window[1];
    const u64* first = (second ? p.image[1] : p.image[0]) + pixel.words;
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
      u32 y = pixel.y + line * p.dilation[0], x = pixel.x + column * p.dilation[1];
      bool inside = y < p.size[0] && x < p.size[1] && channel < p.channels;
      u32 at = (channel * p.size[0] + y) * p.size[1] + x;
      raw.term[0][j] = inside ? first[at] : 0;
      if (SUMS) raw.term[SUMS][j] = inside ? (p.image[1] + pixel.words)[at] : 0;
      bool wrap = ++column == p.window[1];
      column = wrap ? 0 : column;
      line += wrap;
      bool next = line == p.window[0];
      line = next ? 0 : line;
      channel += next;
    }
  }
  DEV void left(const Raw& raw, u64 (&v)[4]) const { elements<SUMS>(raw, p.weight_factor, v); }
  DEV void right(const Raw& raw, u64 (&v)[4]) const { elements<SUMS>(raw, p.image_factor, v); }
  DEV void put(u32 m, u32 n, u64 value, How how) const {
    if (m < p.outputs && n < p.columns()) {
      u32 image = divide(n, p.by_image);
      u64 channel = ((u64)image * p.groups + group) * p.outputs + m;
      ::put(&p.out[channel * p.pixels() + (n - image * p.pixels())], value, how);
    }
  }
};

template <bool SUMS> DEV void conv_simt_body(const Conv& p) {
  __shared__ SimtRoom room;
  Tile tile = tile_of(blockIdx.x, (p.outputs + SIMT_TILE - 1) / SIMT_TILE, (p.columns() + SIMT_TILE - 1) / SIMT_TILE);
  for (u32 group = blockIdx.z; group < p.groups; group += gridDim.z) {
    Windows<SUMS, SIMT_DEPTH> load = {p, group};
    simt_product(load, room, tile, part_of(load.steps()), how());
  }
}

extern __shared__ __align__(16) u8 limb_room[];
template <bool SUMS, u32 ROWS> DEV void conv_limb_body(const Conv& p) {
  constexpr u32 COLS = 4096 / ROWS;
  Tile tile = tile_of(blockIdx.x, (p.outputs + ROWS - 1) / ROWS, (p.columns() + COLS - 1) / COLS);
  for (u32 group = blockIdx.z; group < p.groups; group += gridDim.z) {
    Windows<SUMS, LIMB_DEPTH> load = {p, group};
    limb_product<ROWS>(load, limb_room, tile, part_of(load.steps()), how());
  }
}

// A thread computes up to 4 channels of a pixel, which share what is read of the image.
template <bool SUMS> DEV void conv_direct_body(const Conv& p) {
  const u32 number = thread_number(), first = blockIdx.y * 4, depth = p.depth();
  for (u32 group = blockIdx.z; group < p.groups; group += gridDim.z) {
    const Pixel pixel = pixel_at(p, number, group);
    u64 sum[4] = {};
    for (u32 pair = 0; pair < (SUMS ? 1 : p.pairs); pair++) {
      const u64* image = (pair ? p.image[1] : p.image[0]) + pixel.words;
      const u64* weight = (pair ? p.weight[1] : p.weight[0]) + ((u64)group * p.outputs + first) * depth;
      u32 k = 0;
      for (u32 channel = 0; channel < p.channels; channel++) {
        for (u32 line = 0; line < p.window[0]; line++) {
          u32 y = pixel.y + line * p.dilation[0];
          for (u32 column = 0; column < p.window[1]; column++, k++) {
            u32 x = pixel.x + column * p.dilation[1];
            if (y < p.size[0] && x < p.size[1]) {
              u32 at = (channel * p.size[0] + y) * p.size[1] + x;
              u64 v = image[at];
              if (SUMS) v = v * p.image_factor[0] + (p.image[1] + pixel.words)[at] * p.image_factor[1];
#pragma unroll
              for (u32 o = 0; o < 4; o++) {
                if (first + o < p.outputs) {
                  u64 w = weight[(u64)o * depth + k];
                  if (SUMS) {
                    u64 there = ((u64)group * p.outputs + first + o) * depth + k;
                    w = w * p.weight_factor[0] + p.weight[1][there] * p.weight_factor[1];
                  }
                  sum[o] += v * w;
                }
              }
            }
          }
        }
      }
    }
    Windows<SUMS, 1> result = {p, group};
#pragma unroll
    for (u32 o = 0; o < 4; o++) result.put(first + o, number, sum[o], STORE);
  }
}

// Grid of all but the last two: y = 1 to 65,535 blocks that share the steps of an element (with more than one, out is
// zeros before the launch), z = any number up to 65,535 of blocks that go through the groups. Of the first four, x =
// ceil(outputs / 64) * ceil(images * result / 64). Block 256. A convolution with a window of one place, stride 1 and no
// padding is better a product of matrices, with the weights on the left and the images as the batch.
//
// By multiply-adds of words, in steps of 16.
KERNEL(conv_simt, 256, 2, const __grid_constant__ Conv p) { conv_simt_body<false>(p); }
KERNEL(conv_simt_sums, 256, 2, const __grid_constant__ Conv p) { conv_simt_body<true>(p); }
// By products of bytes on tensor cores, in steps of 32. Dynamic shared memory: 65,536 bytes.
KERNEL(conv_limb, 256, 1, const __grid_constant__ Conv p) { conv_limb_body<false, 64>(p); }
KERNEL(conv_limb_sums, 256, 1, const __grid_constant__ Conv p) { conv_limb_body<true, 64>(p); }
// The same in tiles of 32x128, for results of few rows: x is made of ceil(rows / 32) * ceil(columns / 128). Dynamic
// shared memory: 81,920 bytes.
KERNEL(conv_limb_low, 256, 1, const __grid_constant__ Conv p) { conv_limb_body<false, 32>(p); }
KERNEL(conv_limb_low_sums, 256, 1, const __grid_constant__ Conv p) { conv_limb_body<true, 32>(p); }
// For few outputs a group or small depth, such as one channel a group. Grid: x = ceil(images * result / 256), y =
// ceil(outputs / 4) (up to 65,535), z as above.
KERNEL(conv_direct, 256, 4, const __grid_constant__ Conv p) { conv_direct_body<false>(p); }
KERNEL(conv_direct_sums, 256, 4, const __grid_constant__ Conv p) { conv_direct_body<true>(p); }
