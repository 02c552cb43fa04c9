//! Small damage to texts, the same on every machine: for tests that want thousands of nearly right inputs.

/// Xorshift64*, after Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }

    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Byte ranges of the words of any text: runs of letters and digits, and single other characters; blanks are between.
pub fn words(text: &str) -> Vec<(usize, usize)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words: Vec<(usize, usize)> = Vec::new();
    let mut in_word = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some(last) if in_word && is_word(c) => last.1 = end,
            _ if !c.is_whitespace() => words.push((at, end)),
            _ => {}
        }
        in_word = is_word(c);
    }
    words
}

/// Numbers at the edges of what types hold.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "63",
    "64",
    "65",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "65537",
    "2147483647",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "0.0",
    "-1",
];

/// One to three small changes: of bytes, words or lines, or a piece of `other` in place of one of `text`.
pub fn mutate(text: &str, other: &str, random: &mut Random) -> String {
    let mut text = text.to_string();
    for _ in 0..=random.below(2) * random.below(3) {
        text = match random.below(10) {
            0 | 1 => byte(&text, random),
            2..=5 => word(&text, other, random),
            6 => number(&text, random),
            7 | 8 => line(&text, random),
            _ => splice(&text, other, random),
        };
    }
    text
}

fn byte(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = random.below(bytes.len() + 1);
    let new = *random.choose(b" \n\"%&'()*+,-./0189:;<=>[]_axN{|}\xc3\xa4\0");
    match random.below(3) {
        0 => bytes.insert(at, new),
        1 if at < bytes.len() => bytes[at] = new,
        _ if at < bytes.len() => drop(bytes.remove(at)),
        _ => {}
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `text` with `range` replaced.
fn replaced(text: &str, range: (usize, usize), by: &str) -> String {
    format!("{}{by}{}", &text[..range.0], &text[range.1..])
}

fn word(text: &str, other: &str, random: &mut Random) -> String {
    let (own, theirs) = (words(text), words(other));
    if own.is_empty() || theirs.is_empty() {
        return text.to_string();
    }
    let (range, from) = (*random.choose(&own), *random.choose(&own));
    let word = &text[from.0..from.1];
    match random.below(5) {
        0 => replaced(text, range, ""),
        1 => replaced(text, range, word),
        2 => replaced(text, (range.0, range.0), &format!("{} ", &text[range.0..range.1])),
        3 => replaced(text, (range.0, range.0), &format!("{word} ")),
        _ => {
            let (start, end) = *random.choose(&theirs);
            replaced(text, range, &other[start..end])
        }
    }
}

fn number(text: &str, random: &mut Random) -> String {
    let digits = |range: &(usize, usize)| text[range.0..range.1].starts_with(|c: char| c.is_ascii_digit());
    let numbers: Vec<(usize, usize)> = words(text).into_iter().filter(digits).collect();
    if numbers.is_empty() {
        return text.to_string();
    }
    replaced(text, *random.choose(&numbers), random.choose::<&str>(NUMBERS))
}

fn line(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return text.to_string();
    }
    let (a, b) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(3) {
        0 => drop(lines.remove(a)),
        1 => lines.insert(a, lines[b]),
        _ => lines.swap(a, b),
    }
    lines.join("\n")
}

fn splice(text: &str, other: &str, random: &mut Random) -> String {
    let (own, theirs) = (words(text), words(other));
    if own.is_empty() || theirs.is_empty() {
        return text.to_string();
    }
    let span = |words: &[(usize, usize)], random: &mut Random| {
        let first = random.below(words.len());
        let last = (first + random.below(12)).min(words.len() - 1);
        (words[first].0, words[last].1)
    };
    let (range, piece) = (span(&own, random), span(&theirs, random));
    replaced(text, range, &other[piece.0..piece.1])
}
