//! Tokens to functions, variables and statements.

use super::lexer::{Token, tokens};
use super::{Problem, problem};

/// Something at the module's level.
#[derive(Debug)]
pub(crate) enum Item {
    Function(Function),
    Variable(Variable),
}

/// A kernel or a device function.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: String,
    pub kernel: bool,
    pub results: Vec<Parameter>,
    pub params: Vec<Parameter>,
    /// `.maxntid` or `.reqntid`, missing dimensions being 1.
    pub max_threads: Option<[u32; 3]>,
    /// None for a declaration.
    pub body: Option<Vec<Statement>>,
    pub line: usize,
}

/// A `.param`: of a function, or a variable in a call sequence.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub name: String,
    pub bytes: u32,
    pub align: u32,
}

/// A variable in memory.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    /// `shared`, `global`, `const`, `local`, `param`.
    pub space: String,
    pub name: String,
    pub align: u32,
    /// Bytes; 0 for an external array without a length.
    pub bytes: u32,
    /// Initial bytes, if any is given.
    pub content: Option<Vec<u8>>,
    pub line: usize,
}

#[derive(Debug)]
pub(crate) enum Statement {
    Open,
    Close,
    Label(String),
    /// Registers of a type. A name with a count stands for so many names that end in a number.
    Registers {
        ty: String,
        names: Vec<(String, Option<u32>)>,
    },
    Variable(Variable),
    /// A label's list of branch targets.
    Targets(String, Vec<String>),
    Instruction(Instruction),
}

#[derive(Debug)]
pub(crate) struct Instruction {
    /// A predicate and whether it is negated.
    pub guard: Option<(String, bool)>,
    pub opcode: String,
    pub args: Vec<Arg>,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arg {
    Name(String),
    /// `!name`
    Not(String),
    Number(u64),
    /// `{a, b}`
    Braces(Vec<Arg>),
    /// `(a, b)` of a call
    Parens(Vec<Arg>),
    /// `[base + offset]`
    Address(Box<Arg>, i64),
    /// `a|b`: two destinations
    Pair(String, String),
}

/// The module's items. Directives that say nothing about what is computed are dropped.
pub(crate) fn items(text: &str) -> Result<Vec<Item>, Problem> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let mut items = Vec::new();
    while parser.at < parser.tokens.len() {
        if let Some(item) = parser.item()? {
            items.push(item);
        }
    }
    Ok(items)
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
}

/// Bytes of a fundamental type.
fn size_of(ty: &str) -> Option<u32> {
    match ty {
        ".b8" | ".u8" | ".s8" => Some(1),
        ".b16" | ".u16" | ".s16" | ".f16" => Some(2),
        ".b32" | ".u32" | ".s32" | ".f32" => Some(4),
        ".b64" | ".u64" | ".s64" | ".f64" => Some(8),
        _ => None,
    }
}

impl Parser {
    fn line(&self) -> usize {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.at.min(last)).map_or(0, |t| t.1)
    }

    fn fail<T>(&self, why: &str) -> Result<T, Problem> {
        problem(self.line(), why)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.0)
    }

    fn is(&self, mark: char) -> bool {
        self.peek() == Some(&Token::Mark(mark))
    }

    fn eat(&mut self, mark: char) -> bool {
        let found = self.is(mark);
        self.at += usize::from(found);
        found
    }

    fn want(&mut self, mark: char) -> Result<(), Problem> {
        if self.eat(mark) { Ok(()) } else { self.fail(&format!("expected `{mark}`")) }
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(w)) if w == word);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Result<String, Problem> {
        let Some(Token::Word(word)) = self.peek() else { return self.fail("expected a name") };
        let word = word.clone();
        self.at += 1;
        Ok(word)
    }

    fn number(&mut self) -> Result<u64, Problem> {
        let negative = self.eat('-');
        let Some(Token::Number(number)) = self.peek() else { return self.fail("expected a number") };
        let number = *number;
        self.at += 1;
        Ok(if negative { number.wrapping_neg() } else { number })
    }

    fn small(&mut self) -> Result<u32, Problem> {
        let number = self.number()?;
        u32::try_from(number).or_else(|_| self.fail("number too large"))
    }

    /// Some directives end with their line, not with a mark.
    fn skip_line(&mut self) {
        let line = self.line();
        while self.at < self.tokens.len() && self.tokens[self.at].1 == line {
            self.at += 1;
        }
    }

    fn item(&mut self) -> Result<Option<Item>, Problem> {
        let line = self.line();
        let word = self.word()?;
        match word.as_str() {
            ".version" | ".target" | ".address_size" | ".file" | ".loc" => {
                self.at -= 1;
                self.skip_line();
                Ok(None)
            }
            ".section" => {
                while !self.eat('}') {
                    if self.peek().is_none() {
                        return self.fail("section without end");
                    }
                    self.at += 1;
                }
                Ok(None)
            }
            ".extern" | ".visible" | ".weak" | ".common" => Ok(None),
            ".entry" | ".func" => self.function(word == ".entry", line).map(|f| Some(Item::Function(f))),
            ".shared" | ".global" | ".const" => {
                self.at -= 1;
                self.variable().map(|v| Some(Item::Variable(v)))
            }
            _ => problem(line, "directive not handled"),
        }
    }

    fn function(&mut self, kernel: bool, line: usize) -> Result<Function, Problem> {
        let results = if self.is('(') { self.parameters()? } else { Vec::new() };
        let name = self.word()?;
        let params = if self.is('(') { self.parameters()? } else { Vec::new() };
        let mut max_threads = None;
        loop {
            if self.eat(';') {
                return Ok(Function { name, kernel, results, params, max_threads, body: None, line });
            }
            if self.eat('{') {
                break;
            }
            match self.word()?.as_str() {
                ".maxntid" | ".reqntid" => {
                    let mut dims = [self.small()?, 1, 1];
                    for dim in &mut dims[1..] {
                        if self.eat(',') {
                            *dim = self.small()?;
                        }
                    }
                    max_threads = Some(dims);
                }
                ".minnctapersm" | ".maxnreg" | ".maxnctapersm" => {
                    self.small()?;
                }
                ".noreturn" => {}
                _ => return self.fail("directive not handled"),
            }
        }
        let mut body = Vec::new();
        let mut depth = 1;
        while depth > 0 {
            if let Some(statement) = self.statement()? {
                match statement {
                    Statement::Open => depth += 1,
                    Statement::Close => depth -= 1,
                    _ => {}
                }
                body.push(statement);
            }
        }
        body.pop();
        Ok(Function { name, kernel, results, params, max_threads, body: Some(body), line })
    }

    fn parameters(&mut self) -> Result<Vec<Parameter>, Problem> {
        let mut list = Vec::new();
        self.want('(')?;
        while !self.eat(')') {
            self.eat(',');
            let v = self.variable_head()?;
            if v.space != "param" {
                return self.fail("parameters in registers are not handled");
            }
            list.push(Parameter { name: v.name, bytes: v.bytes, align: v.align });
        }
        Ok(list)
    }

    /// `.space .align 8 .b8 name[16]`, up to an initialiser or end.
    fn variable_head(&mut self) -> Result<Variable, Problem> {
        let line = self.line();
        let space = self.word()?.trim_start_matches('.').to_owned();
        let (mut align, mut size) = (None, None);
        let name = loop {
            let word = self.word()?;
            match word.as_str() {
                ".align" => align = Some(self.small()?),
                ".ptr" | ".global" | ".const" | ".shared" | ".local" if size.is_some() => {}
                _ if word.starts_with('.') => match size_of(&word) {
                    Some(bytes) => size = Some(bytes),
                    None => return self.fail("type not handled"),
                },
                _ => break word,
            }
        };
        let Some(size) = size else { return self.fail("variable without a type") };
        let mut bytes = u64::from(size);
        while self.eat('[') {
            bytes = bytes.saturating_mul(if self.is(']') { 0 } else { self.number()? });
            self.want(']')?;
        }
        let Ok(bytes) = u32::try_from(bytes) else { return self.fail("variable too large") };
        // `.ptr .align` of a kernel's pointer speaks of what it points to.
        let align = if space == "param" && bytes == size { size } else { align.unwrap_or(size).max(size) };
        if !align.is_power_of_two() {
            return self.fail("alignment is no power of two");
        }
        Ok(Variable { space, name, align, bytes, content: None, line })
    }

    /// A variable with its initialiser and the final semicolon.
    fn variable(&mut self) -> Result<Variable, Problem> {
        let start = self.at;
        let mut v = self.variable_head()?;
        if self.eat('=') {
            let size = self.tokens[start..self.at]
                .iter()
                .find_map(|(t, _)| if let Token::Word(w) = t { size_of(w) } else { None })
                .unwrap_or(1) as usize;
            let mut content = Vec::new();
            self.values(size, &mut content)?;
            if content.len() > v.bytes as usize {
                return self.fail("more initial values than elements");
            }
            content.resize(v.bytes as usize, 0);
            v.content = Some(content);
        }
        self.want(';')?;
        Ok(v)
    }

    fn values(&mut self, size: usize, content: &mut Vec<u8>) -> Result<(), Problem> {
        if self.eat('{') {
            while !self.eat('}') {
                self.values(size, content)?;
                self.eat(',');
            }
            return Ok(());
        }
        content.extend_from_slice(&self.number()?.to_le_bytes()[..size]);
        Ok(())
    }

    fn statement(&mut self) -> Result<Option<Statement>, Problem> {
        if self.eat('{') {
            return Ok(Some(Statement::Open));
        }
        if self.eat('}') {
            return Ok(Some(Statement::Close));
        }
        if self.eat(';') {
            return Ok(None);
        }
        let line = self.line();
        let guard = if self.eat('@') {
            let negated = self.eat('!');
            Some((self.word()?, negated))
        } else {
            None
        };
        let word = self.word()?;
        match word.as_str() {
            ".reg" => self.registers().map(Some),
            ".shared" | ".local" | ".param" | ".global" | ".const" => {
                self.at -= 1;
                self.variable().map(|v| Some(Statement::Variable(v)))
            }
            ".loc" | ".file" => {
                self.at -= 1;
                self.skip_line();
                Ok(None)
            }
            ".extern" => Ok(None),
            ".pragma" => {
                self.at += 1;
                self.want(';')?;
                Ok(None)
            }
            _ if word.starts_with('.') => problem(line, "directive not handled"),
            _ if guard.is_none() && self.eat(':') => {
                if !self.eat_word(".branchtargets") {
                    return Ok(Some(Statement::Label(word)));
                }
                let mut labels = vec![self.word()?];
                while self.eat(',') {
                    labels.push(self.word()?);
                }
                self.want(';')?;
                Ok(Some(Statement::Targets(word, labels)))
            }
            _ => {
                let mut args = Vec::new();
                while !self.eat(';') {
                    if !args.is_empty() {
                        self.want(',')?;
                    }
                    args.push(self.arg()?);
                }
                Ok(Some(Statement::Instruction(Instruction { guard, opcode: word, args, line })))
            }
        }
    }

    /// `.reg .b32 %r<18>, x;`
    fn registers(&mut self) -> Result<Statement, Problem> {
        let ty = self.word()?.trim_start_matches('.').to_owned();
        let mut names = Vec::new();
        loop {
            let name = self.word()?;
            let count = if self.eat('<') {
                let count = self.small()?;
                self.want('>')?;
                Some(count)
            } else {
                None
            };
            names.push((name, count));
            if !self.eat(',') {
                break;
            }
        }
        self.want(';')?;
        Ok(Statement::Registers { ty, names })
    }

    fn arg(&mut self) -> Result<Arg, Problem> {
        if self.eat('{') {
            return self.list('}').map(Arg::Braces);
        }
        if self.eat('(') {
            return self.list(')').map(Arg::Parens);
        }
        if self.eat('!') {
            return self.word().map(Arg::Not);
        }
        if self.eat('[') {
            let base = self.arg()?;
            let offset = if self.eat('+') || self.is('-') { self.number()? } else { 0 };
            self.want(']')?;
            return Ok(Arg::Address(Box::new(base), offset.cast_signed()));
        }
        if matches!(self.peek(), Some(Token::Number(_) | Token::Mark('-'))) {
            return self.number().map(Arg::Number);
        }
        let name = self.word()?;
        if self.eat('|') {
            return Ok(Arg::Pair(name, self.word()?));
        }
        Ok(Arg::Name(name))
    }

    fn list(&mut self, end: char) -> Result<Vec<Arg>, Problem> {
        let mut list = Vec::new();
        while !self.eat(end) {
            if !list.is_empty() {
                self.want(',')?;
            }
            list.push(self.arg()?);
        }
        Ok(list)
    }
}
