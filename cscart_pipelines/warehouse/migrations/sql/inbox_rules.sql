-- A stock level that is changed by SQL is to be pushed; the push itself changes only the state.

CREATE FUNCTION fulfilment.wait_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.quantity, NEW.as_of) IS DISTINCT FROM (OLD.quantity, OLD.as_of) THEN
        NEW.state := 'waiting';
        NEW.reason := NULL;
        NEW.journal_id := NULL;
        NEW.settled_at := NULL;
        NEW.received_at := now();
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER wait_again BEFORE UPDATE ON fulfilment.stock_levels
    FOR EACH ROW EXECUTE FUNCTION fulfilment.wait_again();
