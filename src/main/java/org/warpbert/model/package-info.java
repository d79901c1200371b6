/** BERT itself: its configuration, parameters, and layers with forward and backward written by hand. */
package org.warpbert.model;
