-- +goose Up
create table credentials (
    id          text primary key,
    kind        text not null,
    name        text not null,
    username    text not null,
    sealed      bytea,
    origin      text not null,
    settings    text not null,
    declaration text not null,
    owner       text not null,
    created_at  bigint not null,
    updated_at  bigint not null
);

create table registries (
    id               text {{c}} primary key,
    name             text not null,
    kind             text not null,
    url              text not null,
    host             text not null,
    origin           text not null,
    position         bigint not null,
    credential_id    text not null,
    tls              text not null,
    scope            text not null,
    schedule         text not null,
    scheduled        boolean not null,
    parallel         bigint not null,
    settings         text not null,
    declaration      text not null,
    declaration_hash text not null,
    created_at       bigint not null,
    updated_at       bigint not null
);
create index registries_origin on registries (origin, position, id);
create index registries_host on registries (host);
create index registries_name on registries (name);
create index registries_credential on registries (credential_id);
create index registries_scheduled on registries (position, id) where scheduled;

create table scans (
    id                  text {{c}} primary key,
    registry_id         text {{c}} not null references registries (id) on delete cascade,
    state               text not null,
    lane                text not null,
    on_demand           boolean not null,
    force               boolean not null,
    scope               text not null,
    target              text not null,
    partial             boolean not null,
    hidden              boolean not null,
    name                text not null,
    schedule_id         text {{c}} not null,
    repositories        bigint not null default 0,
    repositories_listed bigint not null default 0,
    tags_seen           bigint not null default 0,
    tags_selected       bigint not null default 0,
    images_total        bigint not null default 0,
    images_done         bigint not null default 0,
    images_failed       bigint not null default 0,
    errors              text not null,
    error               text not null,
    complete            boolean not null,
    checkpoint          text not null default '',
    created_at          bigint not null,
    started_at          bigint not null,
    listed_at           bigint not null,
    ended_at            bigint not null,
    updated_at          bigint not null
);
create index scans_registry on scans (registry_id, created_at, id);
create index scans_created on scans (created_at, id);
create index scans_schedule on scans (registry_id, schedule_id, target, hidden, state);
create index scans_unfinished on scans (registry_id) where state in ('queued', 'listing', 'scanning');

create table plans (
    id              text {{c}} primary key,
    registry_id     text {{c}} not null references registries (id) on delete cascade,
    name            text not null,
    every           bigint not null, -- seconds
    weekday         bigint not null, -- 0 is Sunday, -1 any
    at              text not null,
    scope           text not null,
    force           boolean not null,
    canceled        boolean not null,
    from_at         bigint not null,
    next_at         bigint not null,
    last_started_at bigint not null,
    last_scan_id    text {{c}} not null,
    created_at      bigint not null,
    updated_at      bigint not null
);
create index plans_registry on plans (registry_id, created_at, id);
create index plans_due on plans (next_at, id) where not canceled;

create table policies (
    kind       text primary key,
    doc        text not null,
    updated_at bigint not null
);
create table collections (
    name       text primary key,
    doc        text not null,
    updated_at bigint not null
);
create table settings (
    key        text primary key,
    value      text not null,
    updated_at bigint not null
);
create table users (
    name          text primary key,
    role          text not null,
    password_hash text not null,
    created_at    bigint not null,
    updated_at    bigint not null,
    last_login    bigint not null
);
create table audit (
    id      {{serial}},
    at      bigint not null,
    actor   text not null,
    action  text not null,
    subject text not null,
    detail  text not null
);
create table workers (
    id           text primary key,
    heartbeat_at bigint not null,
    labels       text not null,
    version      text not null,
    started_at   bigint not null
);
