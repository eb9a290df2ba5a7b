// Package testkit gives tests the real things the product talks to: a registry process with the authentication, the
// certificate and the limits a test asks for, a PostgreSQL server, and a proxy that breaks connections on demand. It is
// for tests only; the product never imports it.
//
// Processes started here end with the test, and also when the test's own process dies without warning.
package testkit
