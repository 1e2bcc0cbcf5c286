-- What is meant by the e-mails and phones of the raw tables. `identity` (Python) reads each distinct
-- text once, `warehouse.contacts` stores the result, and SQL learns it from these views alone.

CREATE VIEW cscart.account_countries AS
SELECT DISTINCT ON (integration, user_id) integration, user_id, country
FROM (
    SELECT
        integration,
        user_id,
        ordered_at,
        order_id,
        CASE
            WHEN trim(s_country) ~ '^[A-Za-z]{2}$' THEN upper(trim(s_country))
            WHEN trim(b_country) ~ '^[A-Za-z]{2}$' THEN upper(trim(b_country))
            ELSE ''
        END AS country
    FROM cscart.orders
    WHERE user_id IS NOT NULL
) AS placed
WHERE country <> ''
ORDER BY integration, user_id, ordered_at DESC, order_id DESC;

COMMENT ON VIEW cscart.account_countries
    IS 'the country of an account''s newest order: users themselves have none in the API';

CREATE VIEW cscart.customer_contacts AS
SELECT
    account.integration,
    account.user_id,
    account.phone AS raw_phone,
    coalesce(home.country, '') AS country,
    CASE WHEN mail.kind = 'usable' THEN mail.address END AS email,
    mail.address AS any_address,
    CASE WHEN mail.kind = 'faulty' THEN mail.address END AS faulty_email,
    phone.mobile,
    coalesce(
        CASE WHEN mail.kind = 'usable' THEN mail.address END,
        phone.mobile,
        CASE WHEN mail.kind = 'faulty' THEN mail.address END
    ) AS identity
FROM cscart.customers AS account
LEFT JOIN cscart.account_countries AS home USING (integration, user_id)
LEFT JOIN cscart.email_addresses AS mail
    ON mail.integration = account.integration AND mail.raw = account.email
LEFT JOIN cscart.phone_numbers AS phone
    ON phone.integration = account.integration AND phone.raw = account.phone
    AND phone.country = coalesce(home.country, '');

CREATE VIEW cscart.order_contacts AS
SELECT
    placed.integration,
    placed.order_id,
    placed.phone AS raw_phone,
    placed.s_phone AS raw_shipping_phone,
    placed.country,
    CASE WHEN mail.kind = 'usable' THEN mail.address END AS email,
    mail.address AS any_address,
    CASE WHEN mail.kind = 'faulty' THEN mail.address END AS faulty_email,
    coalesce(phone.mobile, shipping_phone.mobile) AS mobile,
    coalesce(
        CASE WHEN mail.kind = 'usable' THEN mail.address END,
        phone.mobile,
        shipping_phone.mobile,
        CASE WHEN mail.kind = 'faulty' THEN mail.address END
    ) AS identity
FROM (
    SELECT
        integration,
        order_id,
        email,
        phone,
        s_phone,
        CASE
            WHEN trim(s_country) ~ '^[A-Za-z]{2}$' THEN upper(trim(s_country))
            WHEN trim(b_country) ~ '^[A-Za-z]{2}$' THEN upper(trim(b_country))
            ELSE ''
        END AS country
    FROM cscart.orders
) AS placed
LEFT JOIN cscart.email_addresses AS mail
    ON mail.integration = placed.integration AND mail.raw = placed.email
LEFT JOIN cscart.phone_numbers AS phone
    ON phone.integration = placed.integration AND phone.raw = placed.phone
    AND phone.country = placed.country
LEFT JOIN cscart.phone_numbers AS shipping_phone
    ON shipping_phone.integration = placed.integration
    AND shipping_phone.raw = placed.s_phone AND shipping_phone.country = placed.country;
