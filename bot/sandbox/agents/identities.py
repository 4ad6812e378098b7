"""What an agent can be, in the words of agents; some have a blank inside (recording `other-identities`)."""

SINGLE = "SINGLE"
MASTER = "MASTER"
FOLLOWER = "FOLLOWER"
CLUSTER_AGENT = "CLUSTER AGENT"
TAKE_OVER_MASTER = "TAKE OVER MASTER"
TAKE_OVER_FOLLOWER = "TAKE OVER FOLLOWER"
SCALING_OUT = "SCALING OUT"
SCALING_IN = "SCALING IN"
UNIDENTIFIED = "UNIDENTIFIED"

SCALING = (SCALING_OUT, SCALING_IN)
NO_MEMBERS = (SINGLE, SCALING_OUT, UNIDENTIFIED)
"""Those that know no other agent, and that no other knows."""
WITHOUT_DATABASE = (SINGLE, MASTER, FOLLOWER, UNIDENTIFIED)
"""Those that hold no connection to a database, for there is none yet."""
