{# A table that keeps its place: made once, and from then on brought up to date by its differences.

   dbt's own table is a new one that takes the old one's name, and drops the old one with the views
   that stand on it and the grants it had. Here the rows of the build's integrations (see scope.sql)
   are compared with those that the model gives, by its key, and what differs is written in one
   transaction: readers see the old rows until the new ones are there, also when the build is killed,
   and what has not changed costs no write. Builds of different integrations do not wait for each
   other. A column that the model gains is added. One that it loses goes; where a view uses it, it
   stays, and is empty. A changed type is an ALTER, which PostgreSQL refuses, with the name of the
   view, where a view uses the column. A changed primary key needs a migration. `--full-refresh` writes
   every row of these integrations anew.

   The key is the contract's primary key, else the config `unique_key`; columns of it that may be NULL
   are in the meta `nullable_key`. Without a key every row of these integrations is written anew.
   With the meta `by_person` only rows of changed people are compared (with `or_unidentified` also those
   without an identity), and the model gives no others; with `records_changed_people` the people of
   rows that differ are among them from then on. See changed_people.sql.
   `rewrites` in the model's meta:
     connected  the rows of the integrations that the registry has; those of a removed one stay
     all        every row: those of removed integrations go with the next build of all #}

{% materialization table_in_place, adapter='postgres' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set columns = columns_if_fitted(target_relation) or fit_table(target_relation, sql) -%}
    {#- A log reads itself for what is new: what it loses goes first, and the rest is added. The first
        rows of a list need no comparison, unless their people are to be recorded. -#}
    {%- set differs = key_of_model() and not should_full_refresh()
        and not model.config.meta.get('keeps_history')
        and (lists_to_record() or has_rows_in_scope(target_relation)) -%}

    {#- The locks come before the transaction's first look at the data: a second build of the same
        integration waits, and then sees what the first one wrote. One look for all statements: an
        integration that is removed between them would be deleted by the one and not written by the
        other. -#}
    {% call statement('main') -%}
        commit;
        begin isolation level repeatable read;
        {{ lock_scope(target_relation) }};
        {% if flags.EMPTY -%}
        select 0
        {%- elif differs -%}
        {{ write_differences(target_relation, columns, sql) }}
        {%- else -%}
        delete from {{ target_relation }} as kept
        where {{ is_rewritten('kept') }};
        insert into {{ target_relation }} ({{ quoted_columns(columns) }})
        select {{ quoted_columns(columns) }} from (
            {{ sql }}
        ) as model
        where {{ is_connected('model') }};
        {#- The next model joins it within the second; later autovacuum counts the changes. #}
        {{ 'select 0' if model.config.meta.get('keeps_history') else 'analyze ' ~ target_relation }}
        {%- endif %}
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro has_rows_in_scope(target_relation) -%}
    {%- set found = run_query(
        'select exists (select from ' ~ target_relation ~ ' as kept where ' ~ in_scope('kept') ~ ')'
    ) -%}
    {{ return(found.rows[0][0]) }}
{%- endmacro %}


{% macro lock_scope(target_relation) -%}
    {#- A build of all keeps every other build from the table; builds of some keep those of the same
        integrations. In the order of the keys, so that no two wait for each other. -#}
    {%- if scope_of_build() -%}
    lock table {{ target_relation }} in row exclusive mode
    {%- for key in scope_of_build() -%}
    ;
        select pg_advisory_xact_lock(hashtextextended('{{ target_relation ~ ' ' ~ key }}', 0))
    {%- endfor -%}
    {%- else -%}
    lock table {{ target_relation }} in share row exclusive mode
    {%- endif -%}
{%- endmacro %}


{% macro connected_integrations() -%}
    (select live.integration from registry.integrations as live)
{%- endmacro %}


{% macro is_connected(relation) -%}
    {{ relation }}.integration in {{ connected_integrations() }}
{%- endmacro %}


{% macro is_rewritten(relation) -%}
    {{ in_scope(relation) }}
    {%- if model.config.meta.get('rewrites') == 'connected' %} and {{ is_connected(relation) }}
    {%- endif -%}
    {{ and_not_kept() }}
{%- endmacro %}


{% macro write_differences(target_relation, columns, sql) -%}
    {#- A row that is there keeps its place while this transaction holds the lock of its integration. -#}
    {%- set key = key_of_model() -%}
    {%- set nullable = model.config.meta.get('nullable_key', []) -%}
    {%- set same_key, values = [], [] -%}
    {%- for name in key -%}
        {%- do same_key.append(
            key_value('built', name, nullable) ~ ' = ' ~ key_value('kept', name, nullable)
        ) -%}
    {%- endfor -%}
    {%- for name in columns if name not in key -%}
        {%- do values.append(adapter.quote(name)) -%}
    {%- endfor -%}
    {%- set compared = ['true'] -%}
    {%- if model.config.meta.get('by_person') -%}
        {%- set compared = [of_changed_people('kept')] -%}
        {%- if model.config.meta.get('or_unidentified') -%}
            {%- do compared.append(of_unidentified('kept')) -%}
        {%- endif -%}
    {%- endif -%}
    {%- set has_person = model.config.meta.get('records_changed_people') -%}
        create temporary table differing on commit drop as
        select built.*, kept.place{{ ', kept.integration as kept_integration, kept.identity as kept_identity' if has_person }}
        from (
            select {{ quoted_columns(columns) }} from (
                {{ sql }}
            ) as model
            where {{ is_connected('model') }}
        ) as built
        full join (
            {%- for rows in compared %}
            select kept.*, kept.ctid as place from {{ target_relation }} as kept
            where {{ is_rewritten('kept') }} and {{ rows }}
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        ) as kept on {{ same_key | join(' and ') }}
        where
            kept.place is null or built.integration is null
            {%- if values %}
            or ({{ prefixed('kept', values) }}) is distinct from ({{ prefixed('built', values) }})
            {%- endif %};
        {{ record_changed_people() }}
        delete from {{ target_relation }} as kept using differing
        where kept.ctid = differing.place and differing.integration is null;
        {%- if values %}
        update {{ target_relation }} as kept
        set {% for name in values %}{{ name }} = differing.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
        from differing
        where kept.ctid = differing.place and differing.integration is not null;
        {%- endif %}
        insert into {{ target_relation }} ({{ quoted_columns(columns) }})
        select {{ quoted_columns(columns) }} from differing
        where place is null
        {{- measure_changed_people() }}
{%- endmacro %}


{% macro key_value(relation, name, nullable) -%}
    {#- Of text, where it may be NULL: PostgreSQL joins whole tables by = alone. -#}
    {%- if name in nullable -%}
    coalesce(cast({{ relation }}.{{ name }} as text), '')
    {%- else -%}
    {{ relation }}.{{ name }}
    {%- endif -%}
{%- endmacro %}


{% macro prefixed(relation, names) -%}
    {%- for name in names -%}
    {{ relation }}.{{ name }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{% macro key_of_model() -%}
    {%- for constraint in model.constraints if constraint.type == 'primary_key' -%}
        {{ return(constraint.columns) }}
    {%- endfor -%}
    {{ return(config.get('unique_key')) }}
{%- endmacro %}


{% macro fit_table(target_relation, sql) -%}
    {#- Makes the table, or gives it the columns of the query, in a transaction of its own, one build
        at a time. Returns the columns. The query may read the table, so the table comes first. -#}
    {%- do lock_definition(target_relation) -%}
    {%- set contract = config.get('contract').enforced -%}
    {%- set kind = kind_of(target_relation) -%}
    {%- if kind in ('v', 'm') -%}
        {%- do run_query(
            'drop ' ~ ('materialized ' if kind == 'm' else '') ~ 'view ' ~ target_relation
        ) -%}
        {%- set kind = none -%}
    {%- endif -%}
    {%- if kind is none -%}
        {%- set made = 'create ' ~ ('unlogged ' if config.get('unlogged') else '')
            ~ 'table if not exists ' ~ target_relation -%}
        {%- do run_query(
            made ~ (get_table_columns_and_constraints() if contract
                else ' as\n' ~ sql ~ '\nwith no data')
        ) -%}
    {%- endif -%}
    {%- if contract -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}
    {%- set columns = columns_of(sketched(sql)) -%}
    {%- set present = columns_of(target_relation) -%}
    {%- if present != columns -%}
        {%- do run_query(changes_of_columns(target_relation, present, columns)) -%}
    {%- endif -%}
    {%- set indexes = config.get('indexes', []) | list -%}
    {%- if config.get('unique_key') and not contract -%}
        {%- do indexes.append({
            'columns': config.get('unique_key'), 'unique': not model.config.meta.get('nullable_key')
        }) -%}
    {%- endif -%}
    {%- for index in indexes -%}
        {#- A name of its own, so that it is made once: to ask for one takes a lock, also in vain. -#}
        {%- set name = (target_relation.identifier ~ '_' ~ index['columns'] | join('_'))[:59] ~ '_idx' -%}
        {%- if kind_of(target_relation.incorporate(path={'identifier': name})) is none -%}
            {%- do run_query(
                'create ' ~ ('unique ' if index.get('unique') else '') ~ 'index if not exists '
                ~ adapter.quote(name) ~ ' on ' ~ target_relation
                ~ ' (' ~ quoted_columns(index['columns']) ~ ')'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query('drop view pg_temp.sketch') -%}
    {%- do record_fit(target_relation, columns) -%}
    {{ return(columns | list) }}
{%- endmacro %}


{% macro changes_of_columns(target_relation, present, columns) -%}
    {#- A new column may hold NULL, whatever the contract says: what is not rewritten has none. -#}
    do $change$
    begin
        {%- for name, type in columns.items() %}
        {%- if name not in present %}
        alter table {{ target_relation }} add column {{ adapter.quote(name) }} {{ type }};
        {%- elif present[name] != type %}
        alter table {{ target_relation }} alter column {{ adapter.quote(name) }} type {{ type }}
            using cast({{ adapter.quote(name) }} as {{ type }});
        {%- endif %}
        {%- endfor %}
        {%- for name in present if name not in columns %}
        begin
            alter table {{ target_relation }} drop column {{ adapter.quote(name) }};
        exception
            when dependent_objects_still_exist then
                alter table {{ target_relation }} alter column {{ adapter.quote(name) }}
                    drop not null;
        end;
        {%- endfor %}
    end
    $change$
{%- endmacro %}
