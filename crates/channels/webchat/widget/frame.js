// The page with the chat alone: the widget fills it, and is always open.
(() => {
  'use strict';
  const script = document.createElement('script');
  script.dataset.widget = new URLSearchParams(location.search).get('widget');
  script.dataset.frame = '';
  script.src = 'widget.js';
  document.head.append(script);
})();
