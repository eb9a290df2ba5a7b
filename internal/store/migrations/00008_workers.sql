-- +goose Up
alter table registries add column labels text not null default '[]'; -- which workers may work on it: JSON, as Labels writes it
alter table registries add column paused_at bigint not null default 0;
create index registries_labels on registries (labels) where labels <> '[]';
create index registries_parallel on registries (parallel) where parallel > 0;

alter table workers add column name text not null default '';
alter table workers add column lanes text not null default '{}'; -- how many jobs of each lane at once
alter table workers add column running bigint not null default 0;
alter table workers add column advisories text not null default '';

create index layers_owner on layers (owner) where owner <> '';
