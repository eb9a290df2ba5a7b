-- +goose Up
alter table images add column findings_seen bigint not null default 0;

create table finding_changes (
    package_id bigint not null references packages (id) on delete cascade,
    generation bigint not null,
    doc        text not null, -- '' when nothing but what is known of a vulnerability changed
    primary key (package_id, generation)
);
create index finding_changes_generation on finding_changes (generation);

create table image_changes (
    id       {{serial}},
    image_id bigint not null references images (id) on delete cascade,
    at       bigint not null,
    cause    text not null,
    doc      bytea not null
);
create index image_changes_image on image_changes (image_id, id);
create index image_changes_at on image_changes (at);
