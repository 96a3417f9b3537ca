CREATE TRIGGER push_run_moved
AFTER UPDATE OF status, cancelling, waiting ON run_head
FOR EACH ROW
WHEN (NEW.executor = 'external'
      AND ((OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled'))
           OR (NEW.cancelling AND NOT OLD.cancelling)
           OR (OLD.waiting IS NOT NULL AND OLD.waiting::text IS DISTINCT FROM NEW.waiting::text)))
EXECUTE FUNCTION push_run_moved();
