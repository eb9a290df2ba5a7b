-- +goose Up
create table harbor_scans (
    id         text {{c}} primary key,
    url        text not null,
    insecure   boolean not null,
    repository text {{c}} not null,
    tag        text {{c}} not null,
    digest     text {{c}} not null,
    media_type text not null,
    sealed     bytea, -- the login of this scan alone; null once it has ended
    state      text not null,
    tag_id     bigint not null default 0,
    image_id   bigint not null default 0,
    analyzer   text not null default '',
    error_kind text not null default '',
    error      text not null default '',
    created_at bigint not null,
    indexed_at bigint not null default 0,
    expires_at bigint not null,
    ended_at   bigint not null default 0
);
create index harbor_scans_waiting on harbor_scans (expires_at) where state = 'waiting';
create index harbor_scans_created on harbor_scans (created_at);
create index harbor_scans_tag on harbor_scans (tag_id);
