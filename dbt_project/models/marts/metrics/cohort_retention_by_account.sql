{{ cohorts_by('customer_id') }}
