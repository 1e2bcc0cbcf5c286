{{ config(severity='warn') }}
-- Days of these shops are read as UTC.
select integration from {{ ref('int_shop_settings') }}
where {{ in_scope() }} and not timezone_is_known
