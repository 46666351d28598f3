//! Many random cases against a slow and obvious answer.

mod image_store;
mod lmdb_builder;
mod pixels;
mod retrieval;
