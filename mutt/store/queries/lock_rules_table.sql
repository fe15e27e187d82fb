-- Keeps everybody else from changing rules until the transaction ends; reading goes on.
LOCK TABLE alert_rules IN SHARE ROW EXCLUSIVE MODE
