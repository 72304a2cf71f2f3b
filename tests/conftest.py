"""What every test needs: our `custom_components` in place of the test harness' own package of that name."""

import custom_components

# Home Assistant's loader looks for integrations along this package's path; imported here first, it is ours.
assert custom_components.__file__
