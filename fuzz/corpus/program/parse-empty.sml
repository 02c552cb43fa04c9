//! args: build {file} --emit ast
// A file of comments is a program without items.
