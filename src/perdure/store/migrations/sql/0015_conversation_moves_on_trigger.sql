CREATE TRIGGER conversation_moves_on
AFTER UPDATE OF status ON run_head
FOR EACH ROW
WHEN (NEW.status IN ('completed', 'failed', 'cancelled') AND OLD.status <> NEW.status)
EXECUTE FUNCTION conversation_moves_on();
