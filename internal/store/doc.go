// Package store keeps everything Tidewaiter knows, in SQLite or in PostgreSQL, with one set of SQL.
//
// Reads are methods of Reader, which DB carries over its read pool and Tx inside its transaction. Writes are methods of
// Tx and happen in DB.Update, which is also where package queue inserts jobs, so that rows and jobs are stored together.
//
// Times are stored as microseconds since 1970 in UTC, 0 being the zero time. Every error a caller could act on is a
// *tidewaiter.Error: not found, conflict, or transient while the database is away.
//
// # Locks
//
// Two databases mean two ways of being safe. SQLite has one writer. On PostgreSQL, at read committed, methods that lock
// rows do so in the order layers, images, tags, scans and by ascending key within each; whatever deadlock remains is
// rolled back and run again by Update.
package store
