-- +goose Up
-- What parts of names are looked for in. With these PostgreSQL knows how many rows have such a part; without, it takes them for
-- few, and sorts most of the fleet instead of going along the order of the list until a page is full.
{{postgres}}create statistics tags_reference_parts on (lower(reference)) from tags;
{{postgres}}create statistics tags_name_parts on (lower(name)) from tags;
{{postgres}}create statistics repositories_name_parts on (lower(name)) from repositories;
-- Results are skipped by this alone, not by the rows.
drop index tag_images_image;
create index tag_images_image on tag_images (image_id, tag_id, shown);

-- +goose Down
drop index tag_images_image;
create index tag_images_image on tag_images (image_id, tag_id);
{{postgres}}drop statistics repositories_name_parts;
{{postgres}}drop statistics tags_name_parts;
{{postgres}}drop statistics tags_reference_parts;
