"""The ops. Few, and general: a scaler lowers to subtract and divide, an encoder to a look-up and a table."""
