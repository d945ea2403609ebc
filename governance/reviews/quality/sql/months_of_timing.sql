-- Thirteen months before a moment, in UTC: for so long is kept how long a person looked.
CREATE OR REPLACE FUNCTION governance_thirteen_months_before(moment timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT (moment AT TIME ZONE 'UTC' - interval '13 months') AT TIME ZONE 'UTC'
$$;
