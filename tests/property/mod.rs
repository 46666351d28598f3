//! Many random cases against a slow and obvious answer.

mod pixels;
mod retrieval;
