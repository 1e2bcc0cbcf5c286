{# Whether a relation is as a build by the same models has left it. Then neither its columns, nor its
   indexes, nor its definition need a look, which takes most statements of a small build.

   Compared are the version of the models, that of the migrations, and what the catalog says of the
   relation now: one that was dropped, altered or replaced by hand is looked at. dbt that is started by
   hand knows no version of the models, and looks at all. PostgreSQL only. #}

{% macro remember_fits() -%}
    {#- Before a run: the table of what is known, made once. -#}
    {%- if execute and models_version() and flags.WHICH in ('build', 'run', 'seed') -%}
    select pg_advisory_xact_lock(hashtextextended('define intermediate.fitted_relations', 0));
    create schema if not exists intermediate;
    create table if not exists intermediate.fitted_relations (
        relation text primary key,
        fingerprint text not null,
        columns text [] not null
    )
    {%- endif -%}
{%- endmacro %}


{% macro columns_if_fitted(relation, definition='') -%}
    {#- Names of the columns that the model gives; none where the relation is to be looked at. -#}
    {%- if models_version() and not should_full_refresh() -%}
    {#- dbt expects a statement called `main`; a view that is fitted has no other. -#}
    {%- call statement('main', fetch_result=true) -%}
    select array_to_string(columns, ' ') from intermediate.fitted_relations
    where relation = '{{ relation }}' and fingerprint = {{ _fingerprint(relation, definition) }}
    {%- endcall -%}
    {%- set found = load_result('main')['data'] -%}
    {{ return(found[0][0].split(' ') if found else none) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}


{% macro record_fit(relation, columns, definition='') -%}
    {#- In the transaction that has made the relation, or has found it right. -#}
    {%- if models_version() -%}
    {%- do run_query(
        "insert into intermediate.fitted_relations (relation, fingerprint, columns) values ('"
        ~ relation ~ "', " ~ _fingerprint(relation, definition)
        ~ ", string_to_array('" ~ columns | join(' ') ~ "', ' '))"
        ~ " on conflict (relation) do update"
        ~ " set fingerprint = excluded.fingerprint, columns = excluded.columns"
    ) -%}
    {%- endif -%}
{%- endmacro %}


{% macro _fingerprint(relation, definition) -%}
    (
        select md5(concat_ws(
            ' ',
            '{{ models_version() }}',
            '{{ local_md5(definition) }}',
            (select string_agg(version_num, ' ') from registry.alembic_version),
            relkind,
            (
                select string_agg(concat_ws(' ', attname, atttypid, attnotnull), ',' order by attnum)
                from pg_attribute where attrelid = pg_class.oid and attnum > 0 and not attisdropped
            ),
            (
                select string_agg(cast(indexrelid as text), ' ' order by indexrelid)
                from pg_index where indrelid = pg_class.oid
            ),
            case when relkind = 'v' then pg_get_viewdef(oid) end
        ))
        from pg_class where oid = to_regclass('{{ relation }}')
    )
{%- endmacro %}
