//! Many random cases against a slow and obvious answer.

mod retrieval;
