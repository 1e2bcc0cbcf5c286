-- A stock level whose quantity or time changes waits for a push again; a push changes only the state.

CREATE FUNCTION fulfilment.queue_changed_level() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER queue_changed_level BEFORE UPDATE ON fulfilment.stock_levels
    FOR EACH ROW EXECUTE FUNCTION fulfilment.queue_changed_level();
