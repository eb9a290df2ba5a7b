-- +goose Up
create table packages (
    id        {{serial}},
    key       text {{c}} not null unique,
    ecosystem text {{c}} not null,
    type      text not null,
    name      text {{c}} not null,
    version   text not null,
    doc       text not null,
    matched   text not null default ''
);
create index packages_name on packages (ecosystem, name);

create table package_images (
    package_id bigint not null references packages (id),
    image_id   bigint not null references images (id) on delete cascade,
    primary key (package_id, image_id)
);
create index package_images_image on package_images (image_id);

create table vulnerabilities (
    id           {{serial}},
    name         text {{c}} not null unique,
    severity     bigint not null,
    score        double precision not null,
    published_at bigint not null,
    doc          bytea not null
);

create table findings (
    package_id       bigint not null references packages (id) on delete cascade,
    vulnerability_id bigint not null references vulnerabilities (id),
    severity         bigint not null,
    source           text not null,
    status           text not null,
    fixed_in         text not null,
    url              text not null,
    advisories       text not null,
    found_at         bigint not null,
    primary key (package_id, vulnerability_id)
);
create index findings_vulnerability on findings (vulnerability_id);
