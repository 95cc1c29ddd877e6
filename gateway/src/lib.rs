//! S3 in front of the client
