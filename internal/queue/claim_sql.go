package queue

// The turn of a job is written into its metadata as registry/reach; jobs of no registry, and those that were queued before
// there were turns, share one. The index behind it is made with the queue's own tables. All statements go from turn to turn
// through that index, so that what they cost depends on how many jobs are wanted and not on how many wait.
//
// The rotation begins after the turn that was last ($2), goes to the end, and on from the beginning ("") up to it. A turn is
// open when its registry is there, not paused, below its limit, and asks for labels this process has ($5). Jobs that only
// work on what is stored are always open, as are those whose registry is gone: they find that out. A job that is over but not
// written down as that is marked as having left.
const (
	turnPostgres = `(coalesce(metadata ->> 'turn', '-') collate "C")`
	turnSQLite   = `coalesce(metadata ->> 'turn', '-')`

	turnIndexPostgres = `create index if not exists river_job_turns on river_job (queue, ` + turnPostgres + `, scheduled_at, id) where state = 'available'`
	turnIndexSQLite   = `create index if not exists river_job_turns on river_job (queue, ` + turnSQLite + `, scheduled_at, id) where state = 'available'`

	// claimPostgres returns the last turn that was looked at and the jobs taken: $1 lane, $2 last turn, $3 how many, $4 who,
	// $5 label sets that fit, $6 kinds, $7 whether limits are passed over. It asks for "the first, if any" where it means
	// "exists": that would be planned as a join with all jobs that wait.
	claimPostgres = `with recursive rotation (turn, lap, place) as (
	select $2::text collate "C", 0, 0
	where not exists (select 1 from river_queue where name = $1 and paused_at is not null)
	union all
	select case when r.lap = 1 or r.turn = '' then (
			select ` + turnPostgres + ` from river_job where state = 'available' and queue = $1
				and ` + turnPostgres + ` > r.turn and ` + turnPostgres + ` <= $2 order by ` + turnPostgres + ` limit 1)
		else coalesce((
			select ` + turnPostgres + ` from river_job where state = 'available' and queue = $1
				and ` + turnPostgres + ` > r.turn order by ` + turnPostgres + ` limit 1), '') end,
		case when r.turn = '' then 1 else r.lap end, r.place + 1
	from rotation r where r.turn is not null
), open as materialized (
	select t.turn, t.place, case when t.turn like '%/pull' and g.parallel > 0 and not $7::boolean
		then g.parallel - (select count(*) from river_job where state = 'running' and ` + turnPostgres + ` = t.turn and metadata ->> 'left' is null) else $3::int end as room
	from rotation t left join registries g on g.id = split_part(t.turn, '/', 1) collate "C"
	where t.place > 0 and t.turn <> ''
		and (t.turn not like '%/_%' or g.id is null or (g.paused_at = 0 and (g.labels = '[]' or g.labels = any($5::text[]))))
		and (t.turn not like '%/pull' or coalesce(g.parallel, 0) = 0 or $7::boolean or g.parallel > (
			select count(*) from river_job where state = 'running' and ` + turnPostgres + ` = t.turn and metadata ->> 'left' is null))
		and (select true from river_job where state = 'available' and queue = $1 and ` + turnPostgres + ` = t.turn and scheduled_at <= now() limit 1)
	limit $3::int
), picked as (
	select id from (
		select j.id, o.place, o.room, row_number() over (partition by o.turn order by j.scheduled_at, j.id) as n
		from open o cross join lateral (
			select id, scheduled_at from river_job
			where state = 'available' and queue = $1 and ` + turnPostgres + ` = o.turn and scheduled_at <= now() and kind = any($6::text[])
			order by scheduled_at, id limit $3::int for update skip locked) j
	) x where n <= room order by n, place limit $3::int
), taken as (
	update river_job set state = 'running', attempt = attempt + 1, attempted_at = now(), metadata = metadata - 'left',
		attempted_by = array_append(attempted_by[greatest(1, coalesce(array_length(attempted_by, 1), 0) - 98):], $4::text)
	from picked where river_job.id = picked.id returning river_job.id
)
select (select turn from open order by place desc limit 1), (select coalesce(array_agg(id), '{}') from taken)`

	// openSQLite returns the open turns in their order and how many jobs each may begin: $1 lane, $2 last turn, $3 how many
	// turns, $4 label sets that fit, $5 whether limits are passed over.
	openSQLite = `with recursive rotation (turn, lap, place) as (
	select $2, 0, 0 where not exists (select 1 from river_queue where name = $1 and paused_at is not null)
	union all
	select case when r.lap = 1 or r.turn = '' then (
			select ` + turnSQLite + ` from river_job where state = 'available' and queue = $1
				and ` + turnSQLite + ` > r.turn and ` + turnSQLite + ` <= $2 order by ` + turnSQLite + ` limit 1)
		else coalesce((
			select ` + turnSQLite + ` from river_job where state = 'available' and queue = $1
				and ` + turnSQLite + ` > r.turn order by ` + turnSQLite + ` limit 1), '') end,
		case when r.turn = '' then 1 else r.lap end, r.place + 1
	from rotation r where r.turn is not null
), known as (
	select t.turn, t.place, coalesce(g.paused_at = 0 and (g.labels = '[]' or g.labels in (select value from json_each($4))), true) as open,
		case when t.turn like '%/pull' and g.parallel > 0 and not $5
			then g.parallel - (select count(*) from river_job where state = 'running' and ` + turnSQLite + ` = t.turn and metadata ->> 'left' is null) else $3 end as room
	from rotation t left join registries g on g.id = substr(t.turn, 1, instr(t.turn, '/') - 1)
	where t.place > 0 and t.turn <> ''
)
select turn, room from known
where (turn not like '%/_%' or open) and room > 0
	and exists (select 1 from river_job where state = 'available' and queue = $1 and ` + turnSQLite + ` = known.turn
		and scheduled_at <= strftime('%Y-%m-%d %H:%M:%f', 'now'))
order by place limit $3`

	// jobsSQLite returns the next jobs of a turn: $1 lane, $2 turn, $3 kinds, $4 how many.
	jobsSQLite = `select id from river_job where state = 'available' and queue = $1 and ` + turnSQLite + ` = $2
	and scheduled_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') and kind in (select value from json_each($3))
order by scheduled_at, id limit $4`

	// takeSQLite marks jobs as running: $1 their ids, $2 who, $3 how many names are kept.
	takeSQLite = `update river_job set state = 'running', attempt = attempt + 1, attempted_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
	metadata = jsonb_remove(metadata, '$.left'),
	attempted_by = jsonb_insert(case when json_array_length(attempted_by) >= $3 then jsonb_remove(attempted_by, '$[0]')
		else coalesce(attempted_by, jsonb('[]')) end, '$[#]', $2)
where id in (select value from json_each($1))`
)
