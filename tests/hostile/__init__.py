"""Valid validators that send what they like: messages that pass every signature check and are wrong all the same."""
