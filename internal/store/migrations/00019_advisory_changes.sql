-- +goose Up
create table advisory_changes (
    before_version text {{c}} not null,
    version        text {{c}} not null,
    at             bigint not null,
    doc            bytea not null,
    primary key (before_version, version)
);
