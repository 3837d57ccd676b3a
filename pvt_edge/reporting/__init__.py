"""How reports word, round and draw their figures."""
