"""Networks in plain torch, without ESPnet, so that training, export and serving can share them."""
