// Messages: buffers one after the other, without gaps. Each plane of a buffer packs its elements' low `width` bits,
// least significant first, and is padded with zeros to a whole byte.
#include "device.h"

// A buffer of a message. One of planes has width 1 and `stride` = ceil(len / 64) words a plane; one of ring elements
// has 1 plane and stride = len. No buffer is empty.
struct Packed {
  u64* words;
  u64 len, stride;
  // Bytes of a plane: ceil(len * width / 8).
  u64 plane_bytes;
  // Its first byte in the message, and the number of its first word among the words of all buffers of the message.
  u64 byte, word;
  // Divide by plane_bytes, by stride and by width.
  LongDivisor by_plane, by_stride, by_width;
  u32 planes, width;
};

template <u64 Packed::*FIRST> DEV u32 buffer_of(const Packed* buffers, u32 count, u64 at) {
  u32 low = 0, high = count;
  while (high - low > 1) {
    u32 middle = (low + high) / 2;
    if (buffers[middle].*FIRST <= at) low = middle;
    else high = middle;
  }
  return low;
}

// 64 bits, from bit `at` on, of a plane that packs `len` elements of `width` bits; zeros past its end.
DEV u64 packed_bits(const u64* words, u64 len, u32 width, const LongDivisor& by_width, u64 at) {
  u64 e = width == 64 ? at >> 6 : divide(at, by_width);
  u32 skipped = at - e * width, filled = width - skipped;
  if (e >= len) return 0;
  const u64 mask = low_bits(width);
  u64 bits = (words[e] & mask) >> skipped;
  for (; filled < 64 && ++e < len; filled += width) bits |= (words[e] & mask) << filled;
  return bits;
}

// The message of `bytes` bytes, as ceil(bytes / 8) words, of which the last is filled up with zeros. A thread makes a
// word. Any grid; block 256.
KERNEL(pack, 256, 4, const Packed* buffers, u32 count, u64* message, u64 bytes) {
  for (u64 i = thread_number(); i * 8 < bytes; i += thread_count()) {
    u64 at = i * 8, end = at + 8 < bytes ? at + 8 : bytes, word = 0;
    u32 number = buffer_of<&Packed::byte>(buffers, count, at);
    // Mostly once: of as many planes and buffers as have bytes in this word.
    for (u32 done = 0; at < end; number++) {
      const Packed& b = buffers[number];
      u64 inside = at - b.byte, plane = divide(inside, b.by_plane);
      inside -= plane * b.plane_bytes;
      for (; plane < b.planes && at < end; plane++, inside = 0) {
        u64 left = b.plane_bytes - inside;
        u32 taken = left < end - at ? left : end - at;
        const u64* words = b.words + plane * b.stride;
        u64 bits;
        if (b.width == 1) {
          // A plane is words already, but for the bits past its last element.
          bits = packed_bits(words, b.stride, 64, b.by_width, inside * 8) & low_bits(min(b.len - inside * 8, 64ull));
        } else {
          bits = packed_bits(words, b.len, b.width, b.by_width, inside * 8);
        }
        word |= (bits & low_bits(taken * 8)) << done * 8;
        done += taken;
        at += taken;
      }
    }
    message[i] = word;
  }
}

// Up to 64 bits from bit `at` on of a message of `size` words.
DEV u64 message_bits(const u64* message, u64 size, u64 at, u32 width) {
  u64 word = at >> 6;
  u32 shift = at & 63;
  u64 bits = message[word] >> shift;
  if (shift + width > 64 && word + 1 < size) bits |= message[word + 1] << (64 - shift);
  return bits & low_bits(width);
}

// The words of all buffers, `words` in all, from a message of `bytes` bytes, in memory of ceil(bytes / 8) words. A
// thread makes a word. Padding bits of the last byte of planes are kept as they came. Any grid; block 256.
KERNEL(unpack, 256, 4, const Packed* buffers, u32 count, const u64* message, u64 bytes, u64 words) {
  const u64 size = (bytes + 7) / 8;
  for (u64 i = thread_number(); i < words; i += thread_count()) {
    const Packed& b = buffers[buffer_of<&Packed::word>(buffers, count, i)];
    u64 inside = i - b.word, plane = divide(inside, b.by_stride), e = inside - plane * b.stride;
    u32 width = b.width;
    u64 bit = e * width;
    if (width == 1) {
      bit = e * 64;
      u64 left = b.plane_bytes * 8 - bit;
      width = left < 64 ? left : 64;
    }
    b.words[inside] = message_bits(message, size, (b.byte + plane * b.plane_bytes) * 8 + bit, width);
  }
}
