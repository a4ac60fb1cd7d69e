"""Names of ``consist.core.views``."""

from consist_es.api.stand_ins import stand_in

ViewFactory = stand_in("consist.core.views.ViewFactory")
ViewRegistry = stand_in("consist.core.views.ViewRegistry")
create_view_model = stand_in("consist.core.views.create_view_model")
