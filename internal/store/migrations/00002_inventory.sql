-- +goose Up
create table repositories (
    id   {{serial}},
    host text {{c}} not null,
    name text {{c}} not null,
    unique (host, name)
);

create table registry_repositories (
    registry_id    text {{c}} not null references registries (id) on delete cascade,
    repository_id  bigint not null references repositories (id),
    name           text {{c}} not null,
    included       boolean not null,
    reason         text not null,
    detail         text not null,
    excluded       bytea,
    tags_seen      bigint not null default 0,
    tags_selected  bigint not null default 0,
    listed_at      bigint not null default 0,
    listed_scan_id text not null default '',
    scan_id        text not null,
    gone_at        bigint not null default 0,
    primary key (registry_id, repository_id)
);
create index registry_repositories_name on registry_repositories (registry_id, name);
create index registry_repositories_repository on registry_repositories (repository_id);

create table tags (
    id            {{serial}},
    repository_id bigint not null references repositories (id),
    name          text {{c}} not null,
    reference     text {{c}} not null,
    digest        text {{c}} not null,
    updated_at    bigint not null,
    first_seen    bigint not null,
    last_seen     bigint not null,
    changed_at    bigint not null,
    gone_at       bigint not null,
    error_kind    text not null,
    error         text not null,
    error_at      bigint not null,
    skipped       text {{c}} not null default '', -- the digest that led to no image
    skip_reason   text not null default '',
    skip_detail   text not null default '',
    unique (repository_id, name)
);
create index tags_reference on tags (reference);
create index tags_name on tags (name);
create index tags_digest on tags (digest);
create index tags_gone on tags (gone_at) where gone_at > 0;
create index tags_failed on tags (reference) where error_kind <> '';

create table tag_history (
    id      {{serial}},
    tag_id  bigint not null references tags (id) on delete cascade,
    digest  text not null,
    from_at bigint not null,
    to_at   bigint not null
);
create index tag_history_tag on tag_history (tag_id, id);

create table registry_tags (
    registry_id text {{c}} not null references registries (id) on delete cascade,
    tag_id      bigint not null references tags (id) on delete cascade,
    scan_id     text {{c}} not null,
    primary key (registry_id, tag_id)
);
create index registry_tags_tag on registry_tags (tag_id);

create table scan_tags (
    scan_id text {{c}} not null references scans (id) on delete cascade,
    tag_id  bigint not null references tags (id) on delete cascade,
    primary key (scan_id, tag_id)
);
create index scan_tags_tag on scan_tags (tag_id);

create table manifests (
    digest     text {{c}} primary key,
    kind       text not null,
    media_type text not null,
    doc        bytea not null
);

create table images (
    id              {{serial}},
    digest          text {{c}} not null unique,
    config_digest   text {{c}} not null,
    media_type      text not null,
    os              text not null,
    architecture    text not null,
    variant         text not null,
    os_version      text not null,
    size            bigint not null,
    created_at      bigint not null,
    doc             bytea not null,
    state           text not null,
    error_kind      text not null,
    error           text not null,
    first_seen      bigint not null,
    updated_at      bigint not null,
    waiting         bigint not null default 0,
    first_judged    bigint not null default 0,
    advisories      text not null default '',
    analyzer        text not null default '',
    judged_at       bigint not null default 0,
    distro_family   text not null default '',
    distro_release  text not null default '',
    distro_name     text not null default '',
    end_of_life     boolean not null default false,
    packages        bigint not null default 0,
    vuln_critical   bigint not null default 0,
    vuln_high       bigint not null default 0,
    vuln_medium     bigint not null default 0,
    vuln_low        bigint not null default 0,
    vuln_negligible bigint not null default 0,
    vuln_unknown    bigint not null default 0,
    fixable         bigint not null default 0,
    secrets         bigint not null default 0,
    check_critical   bigint not null default 0,
    check_high       bigint not null default 0,
    check_medium     bigint not null default 0,
    check_low        bigint not null default 0,
    check_negligible bigint not null default 0,
    check_unknown    bigint not null default 0,
    vuln_risk       bigint not null default 0,
    check_risk      bigint not null default 0,
    worst           bigint not null default 0,
    verdict         text not null default '',
    alerts          bigint not null default 0,
    blocks          bigint not null default 0,
    incomplete      boolean not null default false,
    judgement       text not null default ''
);
create index images_config on images (config_digest);
create index images_judged on images (judged_at, id);
create index images_created on images (created_at, id);
create index images_updated on images (updated_at, id);
create index images_vuln_risk on images (vuln_risk, id);
create index images_check_risk on images (check_risk, id);
create index images_unjudged on images (state) where state <> 'judged';
create index images_advisories on images (advisories, id);

create table image_layers (
    image_id bigint not null references images (id) on delete cascade,
    position bigint not null,
    diff_id  text {{c}} not null,
    primary key (image_id, position)
);
create index image_layers_diff on image_layers (diff_id);

create table image_contents (
    image_id bigint primary key references images (id) on delete cascade,
    doc      bytea not null
);

create table tag_images (
    tag_id   bigint not null references tags (id) on delete cascade,
    image_id bigint not null references images (id),
    digest   text {{c}} not null,
    shown    boolean not null,
    primary key (tag_id, image_id)
);
create index tag_images_image on tag_images (image_id, tag_id);

create table layers (
    diff_id     text {{c}} not null,
    analyzer    text {{c}} not null,
    state       text not null,
    analysis    bytea,
    files       bigint not null default 0,
    bytes       bigint not null default 0,
    error_kind  text not null default '',
    error       text not null default '',
    owner       text not null default '',
    lease_until bigint not null default 0,
    created_at  bigint not null,
    analyzed_at bigint not null default 0,
    primary key (diff_id, analyzer)
);
create index layers_unfinished on layers (state) where state <> 'done';

create table image_waits (
    image_id    bigint not null references images (id) on delete cascade,
    diff_id     text {{c}} not null,
    analyzer    text {{c}} not null,
    registry_id text not null,
    repository  text not null,
    digest      text not null,
    media_type  text not null,
    size        bigint not null,
    primary key (image_id, diff_id)
);
create index image_waits_diff on image_waits (diff_id);
