{{ cohorts_by('identity') }}
