-- +goose Up
-- What became of pushing documents about images into the repositories of registries that ask for it.
create table publications (
    image_id      bigint not null references images (id) on delete cascade,
    registry_id   text {{c}} not null references registries (id) on delete cascade,
    repository_id bigint not null references repositories (id),
    kind          text not null,
    change_id     bigint not null,
    digest        text not null,
    document      text not null,
    judged_at     bigint not null,
    advisories    text not null,
    pushed_at     bigint not null,
    error_kind    text not null,
    error         text not null,
    attempts      bigint not null,
    tried_at      bigint not null,
    retry_at      bigint not null,
    primary key (image_id, registry_id, repository_id, kind)
);
create index publications_registry on publications (registry_id);
create index publications_repository on publications (repository_id);
